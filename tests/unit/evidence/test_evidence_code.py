"""The parts of which code is made: bytes that stay in the file, pointers, functions, references, the call graph."""

from __future__ import annotations

import io
from array import array
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from hpc3.evidence import isa_x86
from hpc3.evidence.call_graph import CallGraph
from hpc3.evidence.code import Slots, Text
from hpc3.evidence.elf import Span
from hpc3.evidence.functions import Function, Functions
from hpc3.evidence.references import Leads, References, Rows
from unit.evidence.test_evidence_x86 import RET, START, code_of

DATA = bytes(range(256)) * 80  # more than is read at a time


@given(st.integers(0, 25_000), st.integers(0, 9_000))
def test_bytes_come_from_the_section_that_holds_them(start: int, size: int) -> None:
    text = Text(io.BytesIO(b"head" + DATA), (Span(4, 12_000, 0x1000), Span(12_004, 8_000, 0x9000)))
    for address in (0x1000 + start, 0x1000 + start // 2):  # the second from what was read already, at times
        for section in text.sections:
            if section.address <= address < section.address + section.size:
                place = section.offset - 4 + address - section.address
                left = section.size - (address - section.address)
                assert text.at(address, size) == DATA[place : place + min(size, left)]
                assert text.file_offset(address) == place + 4
                break
        else:
            assert text.at(address, size) == b""
            assert text.file_offset(address) == 0


def test_all_pieces_together_are_the_code() -> None:
    text = Text(io.BytesIO(DATA), (Span(0, 5, 0x1000), Span(100, 50, 0x2000)))
    assert b"".join(text.pieces()) == DATA[:5] + DATA[100:150]


def test_pointers_are_found_by_place_and_by_target() -> None:
    slots = Slots({0x30: 7, 0x10: 5, 0x20: 6})
    assert [slots.get(place) for place in (0x10, 0x18, 0x30, 0x38)] == [5, None, 7, None]
    assert list(slots.between(0x10, 0x30)) == [5, 6]
    assert slots.pointing_at({6, 7, 8}) == {0x20, 0x30}
    assert slots.tables(array("Q", [0x08, 0x20, 0x28, 0x40])) == {0x08, 0x20, 0x28}


def test_functions_have_names_where_the_file_has_them() -> None:
    functions = Functions(io.BytesIO(b"\0\0first\0second\0"), Span(1, 14, 0))
    functions.append(0x10, 0x20, 1)
    functions.append(0x20, 0x2F, 7)
    functions.append(0x40, 0x80, guessed=True)
    assert list(functions) == [Function(0x10, 0x20, 0), Function(0x20, 0x2F, 1), Function(0x40, 0x80, 2, True)]
    assert [functions.label(number) for number in range(3)] == ["first", "second", "0x40"]
    assert list(functions.names()) == [(0, "first"), (1, "second")]
    assert [functions.number_at(address) for address in (0xF, 0x10, 0x2E, 0x2F, 0x7F)] == [None, 0, 1, None, 2]


@given(st.lists(st.lists(st.integers(0, 20), max_size=5), max_size=8), st.sets(st.integers(0, 20)))
def test_rows_are_kept_and_searched(lists: list[list[int]], wanted: set[int]) -> None:
    rows = Rows()
    for one in lists:
        rows.append(one)
    doubled = rows.mapped(lambda value: value * 2)
    for number, one in enumerate(lists):
        assert list(rows[number]) == one
        assert list(doubled[number]) == [value * 2 for value in one]
    assert rows.functions_with(wanted) == {number for number, one in enumerate(lists) if wanted.intersection(one)}


def test_the_call_graph_leads_through_tables_and_back() -> None:
    """The first function names a table with a pointer to the second, which calls the third; a fourth stands alone."""
    table = START + 0x1000
    code = replace(code_of(RET * 4, RET * 4, RET * 4, RET * 4), slots=Slots({table: START + 4}))
    references = References()
    for leads in (Leads(accesses={table, START + 0x5000}), Leads(targets={START + 9}), Leads(), Leads()):
        references.append(leads)
    graph = CallGraph(code, references, isa_x86)
    place = graph.node(table)
    assert not graph.is_function(place)
    assert list(graph.following(place)) == [1]
    edges = (graph.calls, graph.pointers, graph.accesses)
    reached = graph.reach([0], lambda number: [node for rows in edges for node in rows[number]])
    assert list(reached[:4]) == [1, 1, 1, 0]
    assert list(graph.leading_to([2])[:4]) == [1, 1, 1, 0]
