"""Which CPU features POWER code uses; features by `words`.

Checks are not followed: in an object that asks the CPU for its features, code beyond the baseline is unclear unless
its function is named after a target.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from functools import cache

import capstone

from .code import Code
from .instruction_set import FunctionUse
from .words import WordSet, count_words, signed

#: Primary opcodes with instructions beyond Power ISA 2.07: prefixes, vectors, VSX and floats, loads and stores of them,
#: and arithmetic in the extended forms. Every other one has had the same instructions all along (Power ISA 3.1B,
#: appendix "Opcode Maps").
_MIXED = frozenset((0, 1, 4, 5, 6, 19, 22, 31, 57, 58, 59, 60, 61, 62, 63))
_PLAIN = frozenset(top for top in range(256) if top >> 2 not in _MIXED)
_REGISTER_FIELD = 0x1F << 21  # RT
_BCTR = 0x4E800420
_PREFIX = 1  # primary opcode
_THREAD_POINTER = 13
_LWZ, _LD = 32, 58  # primary opcodes
#: Where glibc keeps the HWCAPs before the thread pointer (sysdeps/powerpc/nptl/tls.h, GCC's TCB_HWCAP_BASE_OFFSET).
_HWCAPS = range(-28776, -28760)


def count_features(code: Code) -> list[FunctionUse]:
    """Return the functions that use a feature beyond Power ISA 2.07, ask for one, or hold an unknown instruction."""
    return count_words(code, _words())


@cache
def _words() -> WordSet:
    return WordSet(
        family="ppc64le",
        decoder=capstone.Cs(capstone.CS_ARCH_PPC, capstone.CS_MODE_64 | capstone.CS_MODE_LITTLE_ENDIAN),
        shape=0xFFFFFFFF ^ _REGISTER_FIELD,
        plain=_PLAIN,
        asks=_asks,
        asking=frozenset(top for top in range(256) if top >> 2 in (_LWZ, _LD)),
        idle_places=_idle_places,
    )


def _idle_places(words: array[int]) -> set[int]:
    """Return where the second halves of prefixed instructions, jump tables, and the traceback table lie.

    The traceback table begins with a word of zeros (ELFv2 ABI, "Traceback Tables"). GCC puts a jump table behind the
    BCTR that jumps by it (rs6000, JUMP_TABLES_IN_TEXT_SECTION): offsets from its own start to places in the function.
    """
    end = words.index(0) if 0 in words else len(words)
    idle = set(range(end, len(words)))
    for place in [place for place, word in enumerate(words) if word == _BCTR or word >> 26 == _PREFIX]:
        if words[place] == _BCTR:
            idle.update(_table_places(words, place + 1))
        elif place not in idle:  # the second half of a prefixed instruction may look like a prefix
            idle.add(place + 1)
    return idle


def _table_places(words: array[int], start: int) -> Iterator[int]:
    """Yield the places of the jump table at ``start``: of all words there that lead into the function."""
    for place in range(start, len(words)):
        if words[place] & 3 or not 0 <= start * 4 + signed(words[place], 32) < len(words) * 4:
            break
        yield place


def _asks(word: int) -> bool:
    """Whether a word loads the HWCAPs (LWZ, LD) that glibc keeps beside the thread pointer."""
    if word >> 26 not in (_LWZ, _LD) or word >> 16 & 31 != _THREAD_POINTER:
        return False
    return signed(word & 0xFFFC, 16) in _HWCAPS
