"""Which CPU features AArch64 code uses, and where its functions lead; features by `words`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import capstone

from .aarch64_absent_path import follow
from .aarch64_words import (
    BR,
    RET,
    added_immediate,
    branch_target,
    is_call,
    literal_address,
    memory_offset,
    page_address,
    register_branch,
)
from .code import Code
from .functions import Function
from .instruction_set import STRUCTURE, AbsentPath, FunctionUse, Oracle, bodies
from .references import Leads, References
from .words import WordSet, count_words, features_of_words, words_of

#: First bytes of words that are in the baseline whatever follows: arithmetic on immediates, branches to an address,
#: arithmetic on general registers, loads and stores of one or two of them.
_PLAIN = frozenset(
    [top for top in range(256) if top & 0x1C == 0x10 or top & 0x7C == 0x14 or top & 0x7E in (0x34, 0x36) or top == 0x54]
).union(
    b"\x0a\x0b\x18\x1c\x28\x29\x2a\x2b\x2c\x2d\x39\x3d\x4a\x4b\x58\x5c\x6a\x6b\x6c\x6d\x79\x7d"
    b"\x8a\x8b\x98\x9c\xa8\xa9\xaa\xab\xac\xad\xb9\xbd\xca\xcb\xd8\xea\xeb\xf9\xfd"
)
_ALL = (1 << 64) - 1
_REGISTER_FIELDS = 0x3FF  # Rn, Rd
_IDENTITY = 0xD5380000  # MRS of an identification register


def count_features(code: Code) -> list[FunctionUse]:
    """Return the functions that use a feature beyond Armv8.0-A, ask for one, or hold an unknown instruction."""
    return count_words(code, _words())


def seems_to_dispatch(code: Code) -> bool:
    """Return False: counting and following share no work here, so that nothing is gained by a guess."""
    return False


def count_and_follow(code: Code) -> tuple[list[FunctionUse], References]:
    """Return what `count_features` does, and where the functions lead."""
    references = References()
    for function, data in bodies(code):
        references.append(_follow(function, data))
    return count_features(code), references


def absent_path(code: Code, function: Function, data: bytes, oracle: Oracle) -> AbsentPath:
    """Return what of a function runs on a CPU without the features that it asks for."""
    path, words = follow(code, function, data, oracle)
    return replace(path, features=features_of_words(words, _words()))


def _follow(function: Function, data: bytes) -> Leads:
    """Return where a function's instructions lead outside of itself."""
    found = Leads(returns=not data)
    for word, target, made, accessed in _addresses(function, data):
        if made:
            found.pointers.add(made & _ALL)
        elif accessed:
            found.accesses.add(accessed & _ALL)
        elif not target:
            found.returns |= register_branch(word) in (RET, BR)
        elif not function.start <= target < function.end:
            found.targets.add(target & _ALL)
            found.returns |= not is_call(word)  # a call in tail position
    return found


def written_variables(code: Code, function: Function, data: bytes) -> Iterator[tuple[int, int]]:
    """Yield address and size of the variables that a function writes, or whose address it hands on."""
    for word, _, made, accessed in _addresses(function, data):
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
    for word, _, _, accessed in _addresses(Function(address, address + len(data)), data[:24]):
        slot = slot or accessed
        if register_branch(word):
            return slot if register_branch(word) == BR else 0
    return 0


def _addresses(function: Function, data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Yield what leads somewhere: the word, its branch target, the address that it makes, the one it accesses.

    An address is made of a page (ADRP) and what is added to it; the page stays in its register until it is made anew.
    """
    bases: dict[int, int] = {}
    address = function.start - 4
    for word in words_of(data):
        address += 4
        if word & 0x1C000000 == 0x14000000:  # branches, and system instructions
            yield word, branch_target(word, address), 0, 0
        elif word & 0x1F000000 == 0x10000000:  # ADR, ADRP
            made = bases[word & 31] = page_address(word, address) or 0
            if not word >> 31:
                yield word, 0, made, 0
        elif (word >> 5 & 31) in bases:
            made, accessed = _from_base(word, bases)
            if made or accessed:
                yield word, 0, made, accessed
        elif word & 0x3B000000 == 0x18000000:
            yield word, 0, 0, literal_address(word, address) or 0


def _from_base(word: int, bases: dict[int, int]) -> tuple[int, int]:
    """Return the address that a word makes from a known base, and the one that it accesses; 0 for none."""
    base = bases[word >> 5 & 31]
    added = added_immediate(word)
    if added is not None:
        bases[word & 31] = base + added
        return base + added, 0
    offset = memory_offset(word)
    if offset is None:
        return 0, 0
    if offset[1]:
        bases.pop(word & 31, None)
    return 0, base + offset[0]


@cache
def _words() -> WordSet:
    return WordSet(
        family="aarch64",
        decoder=capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_LITTLE_ENDIAN),
        shape=0xFFFFFFFF ^ _REGISTER_FIELDS,
        plain=_PLAIN,
        asks=lambda word: word & 0xFFFFF000 == _IDENTITY,
        asking=frozenset({_IDENTITY >> 24}),
        idle_places=lambda words: (),
    )
