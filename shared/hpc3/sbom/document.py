"""The JSON text of an SBOM: one component a line, and a name that is made from the content."""

from __future__ import annotations

import json
import uuid
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
    name = f"{prefix}{uuid.uuid5(uuid.NAMESPACE_URL, text)}"
    # No foreign text can look like the empty field: the quotes in it are escaped.
    return text.replace(f"{json.dumps(field)}: {json.dumps('')}", f"{json.dumps(field)}: {json.dumps(name)}", 1)


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
