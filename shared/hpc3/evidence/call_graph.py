"""What leads to what in one object: its functions, and the tables and linkage that lead on to functions.

A *node* is a number: that of a function, or behind them that of a *place*, a pointer in data, a table of pointers or a
PLT entry. A table of pointers reaches from the address that code names up to the next one that code names.
"""

from __future__ import annotations

import bisect
from array import array
from collections.abc import Callable, Iterable, Sequence

from .code import Code
from .instruction_set import CheckFollower
from .references import References

_STUB_SIZE = 32


class CallGraph:
    """The nodes of one object and the edges that its instructions and pointers make.

    Attributes:
        calls: by function, what it calls or jumps to.
        pointers: by function, the addresses that it takes.
        accesses: by function, the data that it reads or writes.
    """

    def __init__(self, code: Code, references: References, follower: CheckFollower) -> None:
        self._code = code
        self._follower = follower
        self._functions = len(code.functions)
        self._stubs: dict[int, int] = {}
        self._bases = _named_data(code, references)
        self._tables = code.slots.tables(self._bases)
        self._nodes: dict[int, int] = {}
        self._places: list[Sequence[int]] = [()]  # the first is where all go that lead nowhere
        self._is_open = bytearray(1)  # whether a place's pointers are still addresses
        self.calls = references.targets.mapped(self._node_named)
        self.pointers = references.pointers.mapped(self._node_named)
        self.accesses = references.accesses.mapped(self._node_named)

    def is_function(self, node: int) -> bool:
        """Whether a node is a function, and its number the function's."""
        return node < self._functions

    def node(self, address: int) -> int:
        """Return the node that an address leads to; an address inside of a function leads to that function."""
        if self._code.text.low <= address < self._code.text.high:
            number = self._code.functions.number_at(address)
            if number is not None and (address == self._code.functions.starts[number] or not self.stub_slot(address)):
                return number
        node = self._nodes.get(address)
        return self._add_place(address, self.stub_slot(address) or address) if node is None else node

    def _node_named(self, address: int) -> int:
        """Return `node` of an address that code or data names: the most are data without a pointer in it."""
        if address in self._tables or self._code.text.low <= address < self._code.text.high:
            return self.node(address)
        return self._functions

    def following(self, place: int) -> Sequence[int]:
        """Return the nodes that the pointers of a place lead to."""
        number = place - self._functions
        if self._is_open[number]:
            self._is_open[number] = False
            self._places[number] = array("I", map(self._node_named, self._places[number]))
        return self._places[number]

    def leading_to(self, nodes: Iterable[int]) -> bytearray:
        """Return, by node, whether it leads to one of the nodes along any edge."""
        leading: dict[int, list[int]] = {}
        for rows in (self.calls, self.pointers, self.accesses):
            for number in range(self._functions):
                for node in rows[number]:
                    leading.setdefault(node, []).append(number)
        place = self._functions
        while place < self._functions + len(self._places):  # looking at one may add others
            for node in self.following(place):
                leading.setdefault(node, []).append(place)
            place += 1
        pending = list(nodes)
        found = bytearray(place)
        for node in pending:
            found[node] = True
        while pending:
            for node in leading.get(pending.pop(), ()):
                if not found[node]:
                    found[node] = True
                    pending.append(node)
        return found

    def reach(
        self, roots: Iterable[int], leads: Callable[[int], Iterable[int]], within: Sequence[int] = ()
    ) -> bytearray:
        """Return, by node, whether the roots lead there.

        Args:
            roots: nodes.
            leads: gives the nodes that a function leads to.
            within: by node, whether to go on from there; for nodes that it does not know, yes.
        """
        pending = list(roots)
        known = bytearray(self._functions + len(self._places))
        for node in pending:
            known[node] = True
        while pending:
            node = pending.pop()
            if node < len(within) and not within[node]:
                continue
            found = leads(node) if node < self._functions else self.following(node)
            known.extend(bytes(self._functions + len(self._places) - len(known)))
            for following in found:
                if not known[following]:
                    known[following] = True
                    pending.append(following)
        return known

    def stub_slot(self, address: int) -> int:
        """Return the slot that a PLT entry at an address jumps through; 0 where there is none."""
        slot = self._stubs.get(address, 0)
        if not slot:
            data = self._code.text.at(address, _STUB_SIZE)
            slot = self._follower.stub_slot(self._code, address, data) if data else 0
            if slot:
                self._stubs[address] = slot
        return slot

    def name_called(self, address: int) -> str:
        """Return the name of the function, here or elsewhere, that a call of an address reaches."""
        number = self._code.functions.number_of(address)
        name = "" if number is None else self._code.functions.name(number)
        return name or self._code.imports.get(self.stub_slot(address) or address, "")

    def _add_place(self, address: int, slot: int) -> int:
        following = bisect.bisect_right(self._bases, slot)
        end = self._bases[following] if following < len(self._bases) else slot + 8
        pointers = self._code.slots.between(slot, end)
        if not pointers:
            return self._functions
        node = self._nodes[address] = self._functions + len(self._places)
        self._places.append(pointers)
        self._is_open.append(True)
        return node


def _named_data(code: Code, references: References) -> array[int]:
    """Return every address that code or data names, sorted."""
    named = set(code.slots.targets)
    named.update(references.pointers.values, references.accesses.values)
    return array("Q", sorted(named))
