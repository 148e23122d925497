from __future__ import annotations

from pathlib import Path

import archspec.cpu
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpc3.errors import Hpc3Error, InputError
from hpc3.host.cpu import cpu_from_text, nearest_target, read_cpu
from hpc3.targets import known_targets

# EESSI's answer, and what archspec's rule says instead, each with the reason. Azure's hypervisor hides flags that
# archspec demands of zen3 (pku); riscv64/sifive/p550 is not in archspec; power is told by generation, as in EESSI.
EESSI_SPELLS = {
    "aarch64/nvidia/grace": "neoverse_v2",
    "riscv64/spacemit/x60-k6.6": "x60",
    "x86_64/intel/skylake_avx512": "skylake_avx512",
}
DIFFERENCES = {
    "Azure-CentOS7-7V73X": ("zen2", {"pku"}),
    "premier-Ubuntu24": ("riscv64", set()),
}
# A dump of another system than Linux is refused: the host of a container is Linux, also on a Mac.
NOT_LINUX = ("darwin", "windows")
# POWER9 prints the same text in both byte orders: only 'uname -m' tells them apart.
EITHER_ORDER = "power9"


def test_same_answer_as_archspec_on_this_machine() -> None:
    assert read_cpu(Path("/")).target == archspec.cpu.host().name


def test_every_dump_of_archspec(third_party: Path) -> None:
    dumps = sorted((third_party / "archspec-targets").iterdir())
    assert len(dumps) >= 30
    for dump in dumps:
        system, target = dump.name.partition("-")[0], dump.name.rpartition("-")[2]
        text = dump.read_text("utf-8", "replace")
        if system in NOT_LINUX:
            with pytest.raises(InputError, match="neither"):
                cpu_from_text(text, where=dump.name)
            continue
        family = known_targets()[target].family.name
        assert cpu_from_text(text, family, dump.name).target == target, dump.name


def test_family_is_told_from_the_text(third_party: Path) -> None:
    for dump in sorted((third_party / "archspec-targets").glob("linux-*")):
        target = dump.name.rpartition("-")[2]
        expected = known_targets()[target + ("le" if target == EITHER_ORDER else "")].family.name
        assert cpu_from_text(dump.read_text("utf-8"), where=dump.name).family == expected, dump.name


def test_every_dump_of_eessi(third_party: Path) -> None:
    dumps = sorted((third_party / "eessi-archdetect").rglob("*.cpuinfo"))
    assert len(dumps) >= 16
    for dump in dumps:
        said = dump.with_suffix(".output").read_text("utf-8").strip()
        cpu = cpu_from_text(dump.read_text("utf-8"), where=dump.name)
        expected, hidden = DIFFERENCES.get(dump.stem, (EESSI_SPELLS.get(said, said.rpartition("/")[2]), set()))
        assert cpu.target == expected, dump.name
        if hidden:
            named = said.rpartition("/")[2]
            assert known_targets()[named].features - set(cpu.flags or ()) == hidden, dump.name


def test_the_two_layouts_of_one_text_agree() -> None:
    cpuinfo = "processor : 0\nvendor_id : GenuineIntel\nmodel name : X\nflags : lm mmx sse sse2 pni\n\nprocessor : 1\n"
    lscpu = "Architecture: x86_64\nVendor ID: GenuineIntel\nModel name: X\nFlags: lm mmx sse sse2 pni\n"
    assert cpu_from_text(cpuinfo) == cpu_from_text(lscpu)


def test_kernel_spellings_are_translated() -> None:
    cpu = cpu_from_text("vendor_id: GenuineIntel\nflags: lm mmx sse sse2 pni ssse3\n")
    assert "sse3" in (cpu.flags or ())
    assert cpu.target == "core2"


def test_a_family_that_archspec_does_not_know() -> None:
    assert nearest_target("loongarch64", "generic", None) == "loongarch64"


def outcome(text: str) -> str:
    """The target that is read from the text, or the line that refuses it."""
    try:
        return cpu_from_text(text).target
    except Hpc3Error as error:
        return str(error)


@settings(deadline=None)  # other work on the machine does not count
@given(st.text(max_size=400))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    assert outcome(text).isprintable()


@settings(deadline=None)  # other work on the machine does not count
@given(
    st.lists(st.sampled_from(["vendor_id", "flags", "cpu", "isa", "CPU implementer", "CPU part", "uarch"])),
    st.text(max_size=60),
)
def test_known_fields_with_any_value(names: list[str], value: str) -> None:
    assert outcome("\n".join(f"{name}: {value}" for name in names)).isprintable()
