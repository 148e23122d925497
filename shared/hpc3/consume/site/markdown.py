"""Documentation annotations as HTML that can do no harm.

The text is a stranger's. HTML in it is shown, not obeyed; links lead to http, https and mailto alone; images are left
out, for each of them would tell a stranger's server who reads the page.
"""

from __future__ import annotations

import base64
import binascii
import re
from functools import cache
from typing import TYPE_CHECKING

from hpc3.errors import UsageError

if TYPE_CHECKING:
    from markdown_it import MarkdownIt


def decoded_text(value: str) -> str:
    """Return the text of a documentation annotation (base64, UTF-8); empty where it is not that."""
    try:
        return base64.b64decode(value, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return ""


def safe_html(text: str) -> str:
    """Return markdown as HTML; see the module.

    Raises:
        UsageError: the library that reads markdown is not installed.
    """
    return _fitted(str(_reader().render(text)))


@cache
def _reader() -> MarkdownIt:
    try:
        from markdown_it import MarkdownIt
    except ImportError as error:
        raise UsageError("needs markdown-it-py", remedy="pip install 'hpc3[site]'") from error
    reader = MarkdownIt("commonmark", {"html": False, "linkify": False}).enable("table").disable("image")
    reader.validateLink = _is_harmless_link  # type: ignore[method-assign]
    return reader


def _fitted(html: str) -> str:
    """Return rendered markdown as a part of our page: headings below ours, header cells named, no inline style.

    Markup of the text itself is escaped by now: every tag that is met here is the renderer's own.
    """
    html = re.sub(r"(</?h)([1-4])>", lambda heading: f"{heading[1]}{int(heading[2]) + 2}>", html)
    html = re.sub(r' style="text-align:\w+"', "", html)
    return re.sub(r"<th>", '<th scope="col">', html)


def _is_harmless_link(url: str) -> bool:
    return url.strip().lower().startswith(("http://", "https://", "mailto:", "#"))
