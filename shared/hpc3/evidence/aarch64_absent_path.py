"""Which part of an AArch64 function runs on a CPU that has none of the features it asks for.

As `x86_absent_path`: the function is interpreted over constants, what comes from an identification register, from
``getauxval``, from a variable that holds CPU features, or from the loader to an IFUNC resolver is the constant 0. A
branch on a known value takes one way, every other branch both. An instruction that is not known here makes the
register that it may write unknown.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from .aarch64_flags import Flags, bits_of, part, sum_of, writes_flags
from .aarch64_words import (
    BLR,
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
from .instruction_set import FEATURE_TABLE, LARGEST_TABLE, MOST_STEPS, AbsentPath, Oracle, Visits
from .words import words_of

_ALL = (1 << 64) - 1
_ZERO = 31
_ARGUMENTS = range(8)
_CALL_CLOBBERED = range(19)


def follow(code: Code, function: Function, data: bytes, oracle: Oracle) -> tuple[AbsentPath, Iterable[int]]:
    """Return what of a function runs on a CPU without the features that it asks for.

    Returns:
        the path, its features left out, and the words on it.
    """
    return _Interpreter(code, function, data, oracle).run()


class _Interpreter:
    def __init__(self, code: Code, function: Function, data: bytes, oracle: Oracle) -> None:
        self._code = code
        self._oracle = oracle
        self._function = function
        self._words = words_of(data)
        self._end = function.start + len(self._words) * 4
        self._path = AbsentPath()
        self._reached: set[int] = set()
        self._registers: dict[int, int] = {}
        self._flags: Flags | None = None
        self._tainted = function.start in code.resolvers
        self._dropped: set[int] = set()  # what a CSEL did not choose may stay in a register and is no argument
        self._summed: set[int] = set()  # registers that an addition made: a jump to one is a switch

    def run(self) -> tuple[AbsentPath, Iterable[int]]:
        # glibc hands its HWCAP and a pointer to a structure with more of them to a resolver
        visits = Visits(self._function.start, {0: 0, 1: FEATURE_TABLE} if self._tainted else {})
        if self._oracle.handles(self._function.number):
            visits.add(self._cases, {})
        steps = 0
        while (visit := visits.next()) and steps < MOST_STEPS:
            place, known = visit
            self._registers, self._flags = dict(known), None
            self._summed.clear()
            following = [place]
            while len(following) == 1 and steps < MOST_STEPS:
                place = following[0]
                steps += 1
                following = self._step(place, self._words[(place - self._function.start) // 4])
                if following and following[0] != place + 4:
                    break
            visits.add(following, self._registers)
        if steps >= MOST_STEPS:  # too large to tell: then everything runs
            return self._path, self._words
        return self._path, [self._words[(place - self._function.start) // 4] for place in self._reached]

    # -- control flow

    def _step(self, address: int, word: int) -> list[int]:
        """Execute one instruction and return where it goes on inside the function."""
        self._reached.add(address)
        kind = register_branch(word)
        if kind in (RET, BR):
            return self._leave(word, kind)
        if kind == BLR or is_call(word):
            target = branch_target(word, address) or self._registers.get(word >> 5 & 31, 0)
            return [] if self._call(target) else self._inside(address + 4)
        target = branch_target(word, address)
        if not target:
            self._execute(address, word)
            return self._inside(address + 4)
        taken = self._is_taken(word)
        if taken is None:
            return [*self._inside(target), *self._inside(address + 4)]
        return self._inside(target if taken else address + 4)

    def _inside(self, target: int) -> list[int]:
        if self._function.start <= target < self._end:
            return [target]
        self._path.targets.add(target)
        self._path.left_to.add(target)
        return []

    def _is_taken(self, word: int) -> bool | None:
        """Return whether a branch to an address is taken; None where that cannot be told."""
        if word & 0x7C000000 == 0x14000000:
            return True
        if word >> 24 == 0x54:
            holds = self._holds(word & 15)
        else:
            value = self._register(word & 31)
            if word & 0x02000000 and value is not None:  # TBZ, TBNZ
                value = value >> (word >> 26 & 32 | word >> 19 & 31) & 1
            else:
                value = part(value, bits_of(word))
            holds = None if value is None else (value != 0) == bool(word & 0x01000000)
        self._path.checks |= holds is not None and self._tainted
        return holds

    def _leave(self, word: int, kind: int) -> list[int]:
        self._escape(0)
        if kind == RET:
            self._path.returned.add(self._registers.get(0))
            return []
        register = word >> 5 & 31
        if register in self._summed:
            return self._cases
        for argument in _ARGUMENTS:
            self._escape(argument)
        target = self._registers.get(register)
        if target:
            return self._inside(target)
        self._path.returned.add(None)
        # labels of a computed goto: pointers in data lead to them
        return list(self._code.slots.pointing_into(self._function.start + 4, self._end))

    @cached_property
    def _cases(self) -> list[int]:
        """Return every instruction that only a table or an exception can lead to: none is read, all of them run."""
        start = self._function.start
        targets = {branch_target(word, start + place * 4) for place, word in enumerate(self._words)}
        ends = (place for place, word in enumerate(self._words) if self._ends_block(start + place * 4, word))
        after = (start + place * 4 + 4 for place in ends)
        return [place for place in after if place not in targets and place < self._end]

    def _ends_block(self, address: int, word: int) -> bool:
        if is_call(word):
            return self._oracle.is_final(branch_target(word, address))
        is_trap = word & 0xFFE0001F == 0xD4200000  # BRK
        return is_trap or register_branch(word) in (RET, BR) or word & 0xFC000000 == 0x14000000

    def _call(self, target: int) -> bool:
        """Execute a call and return whether it never comes back."""
        for register in _ARGUMENTS:
            self._escape(register)
        if target:
            self._path.targets.add(target)
        for register in _CALL_CLOBBERED:
            self._registers.pop(register, None)
        self._flags = None
        if self._oracle.is_predicate(target):
            self._set(0, self._oracle.returned(target))
            self._tainted = True
        return self._oracle.is_final(target)

    def _escape(self, register: int) -> None:
        value = self._registers.get(register, 0)
        if value and value not in self._dropped:
            self._path.pointers.add(value)

    # -- values

    def _register(self, number: int) -> int | None:
        return 0 if number == _ZERO else self._registers.get(number)

    def _set(self, number: int, value: int | None, *, is_sum: bool = False) -> None:
        self._summed.discard(number)
        if is_sum:
            self._summed.add(number)
        if value is None:
            self._registers.pop(number, None)
        elif number != _ZERO:
            self._registers[number] = value & _ALL

    def _execute(self, address: int, word: int) -> None:
        page = page_address(word, address)
        if page is not None:
            self._set(word & 31, page)
        elif word & 0x1C000000 == 0x10000000:
            self._immediate(word)
        elif word & 0x0E000000 == 0x0A000000:
            self._two_registers(word)
        elif word & 0x0A000000 == 0x08000000:
            self._memory(address, word)
        elif word & 0xFFFFF000 == 0xD5380000:  # MRS of an identification register
            self._set(word & 31, 0)
            self._tainted = True
        else:  # vectors, and what is not known: it may write a general register
            self._set(word & 31, None)
            if writes_flags(word):
                self._flags = None

    def _immediate(self, word: int) -> None:
        register, source = word & 31, self._register(word >> 5 & 31)
        added = added_immediate(word & ~0x20000000)
        if added is not None and word & 0x20000000:  # ADDS, SUBS: CMN, CMP
            left = self._registers.get(word >> 5 & 31)  # 31 is the stack pointer here
            self._add(word, left, abs(added), register, subtracts=bool(word & 0x40000000))
        elif added is not None:
            known = self._registers.get(word >> 5 & 31)  # 31 is the stack pointer here
            self._set(register, None if known is None else part(known + added, bits_of(word)))
        elif word & 0x1F800000 == 0x12800000:  # MOVN, MOVZ, MOVK
            shift = word >> 21 & 3
            number = (word >> 5 & 0xFFFF) << shift * 16
            kept = self._register(register)
            kinds = {0: ~number, 2: number, 3: None if kept is None else kept & ~(0xFFFF << shift * 16) | number}
            self._set(register, part(kinds.get(word >> 29 & 3), bits_of(word)))
        else:  # of nothing, AND and ANDS of a pattern of bits make nothing, SBFM and UBFM of a bitfield
            kind = word & 0x1F800000, word >> 29 & 3
            makes_nothing = kind in ((0x12000000, 0), (0x12000000, 3), (0x13000000, 0), (0x13000000, 2))
            value = 0 if source == 0 and makes_nothing else None
            self._set(register, value)
            if word & 0x7F800000 == 0x72000000:  # ANDS: TST
                self._flags = None if value is None else (False, True, False, False)

    def _two_registers(self, word: int) -> None:
        """Logic and arithmetic on registers, conditional selection and comparison."""
        register, left, right = word & 31, self._register(word >> 5 & 31), self._register(word >> 16 & 31)
        shift = word >> 10 & 63
        if word & 0x1F000000 == 0x0A000000:
            self._logic(word, register, left, right if shift == 0 or right == 0 else None)
        elif word & 0x1F200000 == 0x0B000000 and word & 0x60000000 == 0x60000000:  # SUBS: CMP
            self._add(word, left, right if shift == 0 or right == 0 else None, register, subtracts=True)
        elif word & 0x20000000 and (word & 0x1F000000 == 0x0B000000 or word & 0x1FE00000 == 0x1A000000):
            self._flags = None
            self._set(register, None)
        elif word & 0x1FE00000 == 0x1A800000:
            self._select(word, register, left, right)
        elif word & 0x1FE00410 == 0x1A400000:
            self._compare_if(word, left)
        else:
            self._set(register, None, is_sum=word & 0x1F000000 == 0x0B000000)

    def _logic(self, word: int, register: int, left: int | None, right: int | None) -> None:
        operation, inverts = word >> 29 & 3, bool(word & 0x200000)
        value: int | None = None
        if operation in (0, 3) and (left == 0 or (right == 0 and not inverts)):  # AND, ANDS
            value = 0
        elif left is not None and right is not None:
            right = ~right if inverts else right
            value = part((left & right, left | right, left ^ right, left & right)[operation], bits_of(word))
        self._set(register, value)
        if operation == 3:
            self._flags = None if value is None else (bool(value >> bits_of(word) - 1), value == 0, False, False)

    def _add(self, word: int, left: int | None, right: int | None, register: int, *, subtracts: bool) -> None:
        """ADDS or SUBS: the flags, and the sum or difference."""
        found = sum_of(left, right, bits_of(word), subtracts=subtracts)
        result, self._flags = found or (None, None)
        self._set(register, result)

    def _select(self, word: int, register: int, left: int | None, right: int | None) -> None:
        """CSEL and its kin: the second value is taken as it is, incremented, inverted or negated."""
        kind = word >> 29 & 2 | word >> 10 & 1
        changed = None if right is None else (right, right + 1, ~right, -right)[kind]
        holds = self._holds(word >> 12 & 15)
        if holds is None:  # either of two values: both may leave
            self._path.pointers.update(value for value in (left, changed) if value and kind == 0)
            self._set(register, None)
            return
        self._path.checks |= self._tainted
        kept, dropped = (left, changed) if holds else (changed, left)
        self._set(register, part(kept, bits_of(word)))
        self._dropped.update(() if dropped in (None, kept) else (dropped or 0,))

    def _compare_if(self, word: int, left: int | None) -> None:
        """CCMP, CCMN: compare where a condition holds, else take the flags from the instruction."""
        holds = self._holds(word >> 12 & 15)
        right = word >> 16 & 31 if word & 0x800 else self._register(word >> 16 & 31)
        if holds is None:
            self._flags = None
        elif holds:
            self._add(word, left, right, _ZERO, subtracts=bool(word & 0x40000000))
        else:
            self._flags = bool(word & 8), bool(word & 4), bool(word & 2), bool(word & 1)

    def _holds(self, condition: int) -> bool | None:
        """Return whether a condition (C1.2.4) holds; None where the flags are not known."""
        if self._flags is None:
            return None
        negative, zero, carry, overflow = self._flags
        even = (zero, carry, negative, overflow, carry and not zero, negative == overflow)
        if condition >= 14:
            return True
        holds = (*even, not zero and negative == overflow)[condition >> 1]
        return holds != bool(condition & 1)

    def _memory(self, address: int, word: int) -> None:
        literal, offset = literal_address(word, address), memory_offset(word)
        base = self._registers.get(word >> 5 & 31)
        is_vector = bool(word & 0x04000000)
        if literal is not None:
            self._set(word & 31, self._load(literal) if not is_vector else self._register(word & 31))
            return
        place = None if offset is None or base is None else base + offset[0]
        if (
            base and not is_vector and word & 0x3B200C00 == 0x38200800 and word & 0xC00000
        ):  # a load by a register's offset
            place = self._entry(base, word)
        if offset is not None and not offset[1]:  # a store: an address leaves the function
            self._escape(word & 31)
            return
        if is_vector:
            return
        self._set(word & 31, None if place is None else self._load(place))
        if word & 0x3A000000 == 0x28000000:  # two registers
            self._set(word >> 10 & 31, None if place is None or place < FEATURE_TABLE else 0)
        if offset is None:  # it may write the base back
            self._set(word >> 5 & 31, None)

    def _load(self, address: int) -> int | None:
        if address >= FEATURE_TABLE or self._oracle.is_variable(address):
            self._tainted = True
            return 0
        if self._oracle.is_table_slot(address):
            return FEATURE_TABLE
        pointer = self._code.slots.get(address)
        if pointer and self._code.is_writable(address):
            self._path.pointers.add(pointer)  # what lies there at first; something else may be written there
            return None
        return pointer

    def _entry(self, table: int, word: int) -> int | None:
        """Return where the entry of a table lies that a register picks; not known which, any of its pointers leave."""
        index = self._registers.get(word >> 16 & 31)
        if index is not None and index < LARGEST_TABLE:
            return table + (index << (word >> 30 if word & 0x1000 else 0))
        self._path.tables.add(table)
        return None
