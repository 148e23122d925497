"""Which CPU features AArch64 code uses, and where its functions lead; features by `words`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import capstone

from .aarch64_absent_path import absent_path
from .aarch64_words import (
    BLR,
    BR,
    added_immediate,
    branch_target,
    is_call,
    literal_address,
    memory_offset,
    page_address,
    register_branch,
)
from .code import Code, Function
from .instruction_set import STRUCTURE, FunctionUse, References
from .words import WordSet, count_words, features_of_words, words_of

__all__ = [
    "absent_path",
    "count_features",
    "features_among",
    "references",
    "stub_slot",
    "written_variables",
]

#: First bytes of words that are in the baseline whatever follows: arithmetic, loads and stores of general registers.
_PLAIN = frozenset(
    b"\x0a\x0b\x18\x1c\x28\x29\x2a\x2b\x2c\x2d\x39\x3d\x4a\x4b\x58\x5c\x6a\x6b\x6c\x6d\x79\x7d"
    b"\x8a\x8b\x98\x9c\xa8\xa9\xaa\xab\xac\xad\xb9\xbd\xca\xcb\xd8\xea\xeb\xf9\xfd"
)
_REGISTER_FIELDS = 0x3FF  # Rn, Rd
_IDENTITY = 0xD5380000  # MRS of an identification register


def count_features(code: Code) -> list[FunctionUse]:
    """Return the functions that use a feature beyond Armv8.0-A, ask for one, or hold an unknown instruction."""
    return count_words(code, _words())


def features_among(function: Function, data: bytes, addresses: set[int]) -> dict[str, int]:
    """Return how many of the instructions at some addresses need each feature."""
    among = (word for place, word in enumerate(words_of(data)) if function.start + place * 4 in addresses)
    return features_of_words(among, _words())


def references(code: Code, function: Function, data: bytes) -> References:
    """Return where a function's instructions lead outside of itself."""
    found = References(returns=not data)
    for _, word, target, made, accessed in _addresses(function, data):
        if target and not function.start <= target < function.end:
            found.targets.append(target)
            found.returns |= not is_call(word)  # a call in tail position
        elif made:
            found.pointers.append(made)
        elif accessed:
            found.accesses.append(accessed)
        elif not target and register_branch(word) not in (0, BLR):
            found.returns = True
    return found


def written_variables(code: Code, function: Function, data: bytes) -> Iterator[tuple[int, int]]:
    """Yield address and size of the variables that a function writes, or whose address it hands on."""
    for _, word, _, made, accessed in _addresses(function, data):
        if made:
            yield made, STRUCTURE
        offset = memory_offset(word)
        if accessed and offset is not None and not offset[1]:
            yield accessed, 8


def stub_slot(code: Code, address: int, data: bytes) -> int:
    """Return the slot that the PLT entry ``data`` at an address jumps through; 0 where it is none.

    Such an entry is: [BTI c]; ADRP x16; LDR x17, [x16, …]; ADD x16, …; BR x17.
    """
    slot = 0
    for _, word, _, _, accessed in _addresses(Function(address, address + len(data)), data[:24]):
        slot = slot or accessed
        if register_branch(word):
            return slot if register_branch(word) == BR else 0
    return 0


def _addresses(function: Function, data: bytes) -> Iterator[tuple[int, int, int, int, int]]:
    """Yield each instruction's address and word, its branch target, the address that it makes, the one it accesses.

    An address is made of a page (ADRP) and what is added to it; the page stays in its register until it is made anew.
    """
    bases: dict[int, int] = {}
    for place, word in enumerate(words_of(data)):
        address = function.start + place * 4
        target = branch_target(word, address)
        made = accessed = 0
        page = page_address(word, address)
        register, base = word & 31, bases.get(word >> 5 & 31)
        if page is not None:
            bases[register] = page
            made = 0 if word >> 31 else page
        elif base is not None:
            added = added_immediate(word)
            offset = memory_offset(word) if added is None else None
            if added is not None:
                made = bases[register] = base + added
            elif offset is not None:
                accessed = base + offset[0]
                if offset[1]:
                    bases.pop(register, None)
        accessed = accessed or literal_address(word, address) or 0
        yield address, word, target, made, accessed


@cache
def _words() -> WordSet:
    return WordSet(
        family="aarch64",
        decoder=capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_LITTLE_ENDIAN),
        shape=0xFFFFFFFF ^ _REGISTER_FIELDS,
        is_plain=_is_plain,
        asks=lambda word: word & 0xFFFFF000 == _IDENTITY,
        idle_places=lambda words: (),
    )


def _is_plain(word: int) -> bool:
    top = word >> 24
    return top in _PLAIN or top & 0x1C == 0x10 or top & 0x7C == 0x14 or top & 0x7E in (0x34, 0x36) or top == 0x54
