"""Code of families whose instructions are words of 32 bits: which CPU features do the words need?

``capstone`` names an instruction; ``instruction_features.json`` says what it needs; ``instruction_words.json`` holds
what capstone does not know. capstone makes three hundred thousand instructions a second in Python and a library has
millions: so each *shape*, a word without its register numbers, is decoded once.
"""

from __future__ import annotations

import re
import sys
from array import array
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Set
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from hpc3.tables import Row, rows

from .code import Code
from .functions import Function
from .instruction_set import FunctionUse, bodies

#: In what may be data a few instructions are no evidence, many are.
_MANY = 16
#: What an unknown instruction is counted by.
_UNKNOWN = ("?",)
#: What an instruction that asks the CPU for its features is counted by, beside what it needs.
_ASKS = "asks"


@dataclass(frozen=True)
class WordSet:
    """What is known of one family's words.

    Attributes:
        family: in the tables.
        decoder: a ``capstone.Cs``.
        shape: bits that tell one instruction from another.
        plain: first bytes (the highest) of words that are beyond doubt of the baseline; they spare the decoder.
        asks: whether a word asks the CPU for its features.
        asking: first bytes of words that may.
        idle_places: of a function's words, the places of those that are no instruction of their own.
    """

    family: str
    decoder: Any  # capstone has no types
    shape: int
    plain: Set[int]
    asks: Callable[[int], bool]
    asking: Set[int]
    idle_places: Callable[[array[int]], Container[int]]
    _shapes: dict[int, tuple[str, ...]] = field(default_factory=dict)

    def features(self, word: int) -> tuple[str, ...]:
        """Return the features that a word needs, ``("?",)`` for one that nobody knows."""
        if word == 0 or word >> 24 in self.plain:  # zeros are padding
            return ()
        shape = word & self.shape
        found = self._shapes.get(shape)
        if found is None:
            found = self._shapes[shape] = self._look_up(shape)
        if found == _UNKNOWN and shape != word:  # some instructions fix a register
            found = self._shapes.get(word)
            if found is None:
                found = self._shapes[word] = self._look_up(word)
        return found

    def _look_up(self, word: int) -> tuple[str, ...]:
        for mask, value, feature in _word_rows(self.family).get(word >> 26, ()):
            if word & mask == value:
                return (feature,) if feature else ()
        for _, _, mnemonic, operands in self.decoder.disasm_lite(word.to_bytes(4, "little"), 0x1000, 1):
            needs = (r["feature"] for r in _rows_of(self.family, mnemonic) if re.fullmatch(r["operands"], operands))
            return tuple(dict.fromkeys(needs))
        return _UNKNOWN


def signed(value: int, bits: int) -> int:
    """Return a field of so many bits as a signed number."""
    return value - (1 << bits) if value >> (bits - 1) else value


def words_of(data: bytes) -> array[int]:
    """Return the little-endian words of code; what is left at the end is none."""
    words = array("I", data[: len(data) // 4 * 4])
    if sys.byteorder == "big":
        words.byteswap()
    return words


def count_words(code: Code, known: WordSet) -> list[FunctionUse]:
    """Return the functions that use a feature, ask for one, or hold a word that nobody knows."""
    needs = _needs(code, known)
    found = []
    for function, data in bodies(code):
        words = words_of(data)
        places = [place for place, word in enumerate(words) if word in needs]
        if places:
            idle = known.idle_places(words)
            used = [words[place] for place in places if place not in idle]
            counts = Counter(feature for word in used for feature in needs[word])
            found.append(_use(function, counts))
    return [use for use in found if use.features or use.asks or use.unknown]


def _needs(code: Code, known: WordSet) -> dict[int, tuple[str, ...]]:
    """Return what each word of the code needs that needs anything, with ``_ASKS`` for one that asks for features."""
    needs: dict[int, tuple[str, ...]] = {}
    for piece in code.text.pieces():
        for word in set(words_of(piece)):
            top = word >> 24
            features = () if top in known.plain else known.features(word)
            if top in known.asking and known.asks(word):
                features = (*features, _ASKS)
            if features:
                needs[word] = features
    return needs


def features_of_words(words: Iterable[int], known: WordSet) -> dict[str, int]:
    """Return how many words need each feature."""
    counts = Counter(feature for word in words for feature in known.features(word))
    return {feature: number for feature, number in counts.items() if feature not in _UNKNOWN}


def _use(function: Function, counts: Counter[str]) -> FunctionUse:
    unknown, asks = counts.pop(_UNKNOWN[0], 0), counts.pop(_ASKS, 0) > 0
    least = _MANY if unknown else 1
    features = {feature: number for feature, number in counts.items() if number >= least}
    return FunctionUse(function, features, asks, 0 if function.guessed else unknown)


@cache
def _word_rows(family: str) -> Mapping[int, list[tuple[int, int, str]]]:
    """Return mask, value and feature of each row by the six bits that every mask has: POWER's primary opcode."""
    found: dict[int, list[tuple[int, int, str]]] = {}
    for row in rows("instruction_words"):
        if row["family"] == family:
            mask, value = int(row["mask"], 16), int(row["value"], 16)
            found.setdefault(value >> 26, []).append((mask, value, str(row["feature"])))
    return found


@cache
def _rows_of(family: str, mnemonic: str) -> tuple[Row, ...]:
    return tuple(
        row
        for row in rows("instruction_features")
        if row["family"] == family and re.fullmatch(row["mnemonics"], mnemonic)
    )
