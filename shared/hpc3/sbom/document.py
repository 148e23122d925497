"""The JSON text of an SBOM: one component a line, and a name that is made from the content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

# json.dumps with an indent was passed over: it leaves the encoder written in C (ten times slower), and a property of
# three lines hides what changed between two documents.


def sealed_text(document: Mapping[str, Any], field: str, prefix: str) -> str:
    """Return a document as text in which ``field`` is ``prefix`` and a UUID made from everything else.

    The same content has the same name wherever it is written, and no two contents share one.
    """
    text = _text({**document, field: ""})
    name = f"{prefix}{_uuid(text)}"
    # No foreign text can look like the empty field: the quotes in it are escaped.
    return text.replace(f"{json.dumps(field)}: {json.dumps('')}", f"{json.dumps(field)}: {json.dumps(name)}", 1)


def _uuid(text: str) -> str:
    """Return the UUID of a text in the namespace of URLs (version 5; RFC 9562, section 5.5 and appendix A).

    Not by the uuid module: its import asks the platform, and takes longer than the rest of the document.
    """
    namespace = bytes.fromhex("6ba7b8119dad11d180b400c04fd430c8")
    octets = bytearray(hashlib.sha1(namespace + text.encode("utf-8"), usedforsecurity=False).digest()[:16])
    octets[6] = octets[6] & 0x0F | 0x50
    octets[8] = octets[8] & 0x3F | 0x80
    digits = octets.hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def timestamp(created: int) -> str:
    """Return seconds since 1970 as both formats write a time: ``1970-01-01T00:00:00Z``."""
    return datetime.fromtimestamp(created, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _text(document: Mapping[str, Any]) -> str:
    """Return ASCII text: one field a line, and one item a line for a list.

    ASCII, so that nothing foreign steers a terminal. JSON can spell half of a surrogate pair, which is no character
    and makes strict readers refuse the document: it becomes U+FFFD.
    """
    text = "{\n" + ",\n".join(f" {json.dumps(name)}: {_field(value)}" for name, value in document.items()) + "\n}\n"
    return text if r"\ud" not in text else _text_of_characters(document, text)


def _text_of_characters(document: Mapping[str, Any], text: str) -> str:
    cleaned = _characters(document)
    return text if cleaned == document else _text(cleaned)


def _field(value: object) -> str:
    if not isinstance(value, list) or not value:
        return json.dumps(value)
    # One call for the whole list, broken where an item begins: each begins with the same key, which nothing inside
    # begins with, and a quote within a text is escaped.
    begin = "{" + json.dumps(next(iter(value[0]))) + ": "
    items = json.dumps(value)[1:-1].replace("}, " + begin, "},\n  " + begin)
    return f"[\n  {items}\n ]"


def _characters(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_characters(name): _characters(item) for name, item in value.items()}
    return [_characters(item) for item in value] if isinstance(value, list) else value
