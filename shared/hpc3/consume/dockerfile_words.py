"""Words of a Dockerfile, with the rules of BuildKit's shell lexer (``frontend/dockerfile/shell/lex.go``).

Python's ``shlex`` has other rules: it knows no variables, and takes each backslash in double quotes for an escape.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from hpc3.errors import InputError

#: What Go's ``unicode.IsSpace`` takes for a space; ``str.isspace`` takes more, and an instruction would hide behind it.
SPACES = "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"

_MOST_NESTED = 50  # variables within the defaults of variables
_MOST_EXPANDED = 16 << 20  # characters from variables in one file: "ENV A=$A$A" doubles, and would do so for ever

_BETWEEN = re.compile(r"[\t\v\f\r ]+")
_HEREDOC = re.compile(r"\d*<<(-?)([\t\r ]*)([^<]*)", re.ASCII)
_NAME = re.compile(r"[0-9]+|[^\W\d]\w*|[@*#?$!-]")
_MODIFIER = re.compile(r":?[-+?#%]|[/}]")
# Both escape characters end a run: the one that is none here is then a piece of its own.
_PLAIN = re.compile(r"""[^'"$<}\\`]+""")
_IN_QUOTES = re.compile(r"""[^"$\\`]+""")
_PARTS = re.compile(rf"[{SPACES}]+|[^{SPACES}]+")

#: A piece of text, and whether it stays in one word whatever spaces are in it.
_Piece = tuple[str, bool]


class _UnreadableError(Exception):
    """The text is none that BuildKit's lexer reads."""


class Words:
    """Expands the texts of one Dockerfile."""

    def __init__(self, escape: str, name: str) -> None:
        self.escape = escape
        self._name = name
        self._left = _MOST_EXPANDED

    def value(self, text: str, scope: Mapping[str, str], *, keep_unset: bool = False) -> str:
        """Return ``text`` without its quotes and escapes, and with the variables of ``scope``.

        What the lexer cannot read stays as it is: BuildKit stops there, and another builder may read it.

        Args:
            text: as written.
            scope: variables to their values.
            keep_unset: whether a variable that is not set stays as it is written, instead of becoming empty.

        Raises:
            InputError: the variables of the file become too long.
        """
        lexer = _Lexer(text, scope, self.escape, keeps_unset=keep_unset, left=self._left)
        try:
            pieces = lexer.read()
        except _UnreadableError:
            return text
        finally:
            self.charge(self._left - lexer.left)
        return "".join(piece for piece, _ in pieces)

    def charge(self, characters: int) -> None:
        """Take characters that instructions repeat from what the file may still use.

        Raises:
            InputError: too little is left.
        """
        self._left -= characters
        if self._left < 0:
            raise InputError("repeats too much of itself", where=self._name)

    def split(self, text: str) -> list[str]:
        """Return the words of ``text`` with their quotes and escapes, as ENV, LABEL and ARG have them."""
        escape = re.escape(self.escape)
        word = rf"""(?:{escape}.|'[^']*(?:'|\Z)|"(?:{escape}.|[^"{escape}])*(?:"|{escape}?\Z)|[^{SPACES}'"{escape}])+"""
        return [match.group() for match in re.finditer(word, text, re.DOTALL)]


def plain_words(text: str, most: int = 0) -> list[str]:
    """Return what spaces separate, in at most ``most`` + 1 parts (0: any number); quotes mean nothing."""
    return _BETWEEN.split(text, most) if text else []


def heredocs(line: str) -> Iterator[tuple[str, bool, bool]]:
    """Yield the heredocs that a logical line begins: delimiter, whether tabs may precede it, whether a space does.

    A whole word is one or is none, and a line that the lexer cannot read has none: so BuildKit has it.
    """
    lexer = _Lexer(line, {}, "\\", is_raw=True, keeps_unset=True)
    try:
        words = _joined(lexer.read())
    except _UnreadableError:
        return
    for word in words:
        match = _HEREDOC.fullmatch(word)
        delimiter = _delimiter(match.group(3)) if match else ""
        if match and delimiter:
            yield delimiter, match.group(1) == "-", bool(match.group(2))


def _delimiter(text: str) -> str:
    try:
        words = _joined(_Lexer(text, {}, "\\", keeps_unset=True).read())
    except _UnreadableError:
        return ""
    return words[0] if len(words) == 1 else ""


def _joined(pieces: list[_Piece]) -> list[str]:
    words: list[list[str]] = [[]]
    for piece, is_whole in pieces:
        if is_whole:
            words[-1].append(piece)
            continue
        for part in _PARTS.findall(piece):
            if part[0] in SPACES:
                words.append([])
            else:
                words[-1].append(part)
    return [word for word in map("".join, words) if word]


class _Lexer:
    """``Lex`` of BuildKit: ``is_raw`` is its RawQuotes and RawEscapes, ``keeps_unset`` its SkipUnsetEnv."""

    def __init__(
        self,
        text: str,
        scope: Mapping[str, str],
        escape: str,
        *,
        is_raw: bool = False,
        keeps_unset: bool = False,
        left: int = _MOST_EXPANDED,
    ) -> None:
        self.text, self.scope, self.escape = text, scope, escape
        self.is_raw, self.keeps_unset = is_raw, keeps_unset
        self.left = left  # characters that variables may still put in
        self.at = 0
        self.depth = 0

    def read(self, stop: str = "") -> list[_Piece]:
        """Return the pieces up to ``stop``, which is stepped over, or to the end."""
        pieces: list[_Piece] = []
        while self.at < len(self.text):
            c = self.text[self.at]
            if c == stop:
                self.at += 1
                return pieces
            if c == "$":
                pieces.append((self._dollar(), False))
            elif c in ("'", '"', "<", self.escape):
                pieces.append((self._special(c), True))
            else:
                match = _PLAIN.match(self.text, self.at)
                pieces.append((match.group() if match else c, False))
                self.at += len(pieces[-1][0])
        if stop:
            raise _UnreadableError
        return pieces

    def _special(self, c: str) -> str:
        if c == "'":
            return self._single_quoted()
        if c == '"':
            return self._double_quoted()
        start = self.at
        if c == "<":
            # Spaces after "<<" belong to the word: "<< EOF" is a heredoc to newer BuildKits.
            self.at += 1
            if self.text[self.at : self.at + 1] == "<":
                self.at += 1
                while self.text[self.at : self.at + 1] in ("\t", "\r", " "):
                    self.at += 1
            return self.text[start : self.at]
        self.at = min(self.at + 2, len(self.text))
        return self.text[start if self.is_raw else start + 1 : self.at]

    def _single_quoted(self) -> str:
        end = self.text.find("'", self.at + 1)
        if end < 0:
            raise _UnreadableError
        start, self.at = self.at, end + 1
        return self.text[start : end + 1] if self.is_raw else self.text[start + 1 : end]

    def _double_quoted(self) -> str:
        out = ['"'] if self.is_raw else []
        self.at += 1
        while self.at < len(self.text):
            c = self.text[self.at]
            if c == '"':
                self.at += 1
                return "".join(out) + ('"' if self.is_raw else "")
            if c == "$":
                out.append(self._dollar())
                continue
            if c == self.escape:
                follower = self.text[self.at + 1 : self.at + 2]
                is_escape = follower in ('"', "$", self.escape)
                out.append(follower if is_escape and not self.is_raw else c + (follower if is_escape else ""))
                self.at += 2 if is_escape else 1
                continue
            match = _IN_QUOTES.match(self.text, self.at)
            out.append(match.group() if match else c)
            self.at += len(out[-1])
        raise _UnreadableError

    def _dollar(self) -> str:
        start = self.at
        self.at += 1
        if self.text[self.at : self.at + 1] == "{":
            self.at += 1
            return self._braced(start)
        match = _NAME.match(self.text, self.at)
        if not match:
            return "$"
        self.at = match.end()
        return self._plain_value(match.group(), start)

    def _braced(self, start: int) -> str:
        match = _NAME.match(self.text, self.at)
        name = match.group() if match else ""
        self.at += len(name)
        modifier = _MODIFIER.match(self.text, self.at)
        if not name or not modifier:
            raise _UnreadableError
        self.at = modifier.end()
        if modifier.group() == "}":
            return self._plain_value(name, start)
        self.depth += 1
        if self.depth > _MOST_NESTED:
            raise _UnreadableError
        word = "".join(piece for piece, _ in self.read("}"))
        self.depth -= 1
        return self._modified(name, modifier.group(), word, start)

    def _modified(self, name: str, modifier: str, word: str, start: int) -> str:
        written = self.text[start : self.at]
        is_set = bool(self.scope.get(name)) if modifier[0] == ":" else name in self.scope
        if (self.is_raw and not is_set) or modifier[-1] in "#%/":  # patterns are left to the builder
            return written
        if modifier[-1] == "+":
            return word if is_set else ""
        if is_set:
            return self._counted(self.scope[name])
        return word if modifier[-1] == "-" else written

    def _plain_value(self, name: str, start: int) -> str:
        if self.keeps_unset and name not in self.scope:
            return self.text[start : self.at]
        return self._counted(self.scope.get(name, ""))

    def _counted(self, value: str) -> str:
        self.left -= len(value)
        return value if self.left >= 0 else ""
