from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpc3.consume.facets.cpu import canonical_target, check_cpu, missing_flags
from hpc3.consume.verdict import Verdict, worst
from hpc3.fingerprint import Cpu, Fingerprint
from hpc3.host.cpu import cpu_from_text
from hpc3.tables import rows
from hpc3.targets import known_targets
from unit.consume.consumer_examples import host, image

#: Vector and scalar extensions that compilers use on their own: an image that needs one dies without it.
SIMD = (
    "sse4_2",
    "ssse3",
    "avx",
    "avx2",
    "fma",
    "avx512f",
    "avx512bw",
    "avx512dq",
    "avx512vl",
    "xop",
    "fma4",
    "sve",
    "sve2",
    "asimd",
)


def verdict(target: str, on: Cpu) -> Verdict:
    stated = image(hardware__cpu__optimized__version=target, os__vendor="debian")
    return worst(check_cpu(stated, Fingerprint(cpu=on)))


def real_hosts(third_party: Path) -> list[tuple[str, Cpu]]:
    dumps = sorted((third_party / "eessi-archdetect").rglob("*.cpuinfo"))
    dumps += sorted((third_party / "archspec-targets").glob("linux-*"))
    return [(dump.name, cpu_from_text(dump.read_text("utf-8", "replace"))) for dump in dumps]


def test_no_ok_where_a_needed_simd_flag_is_missing(third_party: Path) -> None:
    """Every real host against every target that archspec knows."""
    pairs = 0
    for name, on in real_hosts(third_party):
        for target, known in known_targets().items():
            said = verdict(target, on)
            pairs += 1
            lacking = set(known.features) - set(on.flags or ())
            if known.family.name != on.family:
                assert said is Verdict.FAILS, (name, target)
            elif lacking:
                assert said is not Verdict.OK, (name, target, lacking)
                if lacking & set(SIMD):
                    assert said is Verdict.FAILS, (name, target, lacking)
    assert pairs > 3000


def test_a_host_runs_what_it_is(third_party: Path) -> None:
    for name, on in real_hosts(third_party):
        assert verdict(on.target, on) in (Verdict.OK, Verdict.DEGRADED), (name, on.target)


# What was run on a processor of Intel without amx, waitpkg, 3dnow, sse4a, clzero, pku: GCC 12.2, 28 targets, -O3.
RAN = ("nocona", "core2", "nehalem", "westmere", "sandybridge", "ivybridge", "haswell", "broadwell", "skylake",
       "skylake_avx512", "cannonlake", "cascadelake", "icelake", "x86_64", "x86_64_v2", "x86_64_v3", "x86_64_v4",
       "sapphirerapids", "zen", "zen2", "zen3")  # fmt: skip
TRAPPED = ("bulldozer", "piledriver", "steamroller", "excavator")


def masked_emerald_rapids() -> Cpu:
    hidden = {"amx_bf16", "amx_int8", "amx_tile", "waitpkg", "cldemote", "movdir64b", "movdiri", "serialize"}
    flags = {*known_targets()["sapphirerapids"].features, "sse3"} - hidden
    return Cpu("x86_64", "icelake", "GenuineIntel", tuple(sorted(flags)))


@pytest.mark.parametrize("target", RAN)
def test_what_ran_is_not_said_to_fail(target: str) -> None:
    assert verdict(target, masked_emerald_rapids()) in (Verdict.OK, Verdict.DEGRADED)


@pytest.mark.parametrize("target", TRAPPED)
def test_what_died_is_said_to_fail(target: str) -> None:
    assert verdict(target, masked_emerald_rapids()) is Verdict.FAILS


def test_a_wider_host_is_told_what_it_leaves_unused() -> None:
    (judgement,) = check_cpu(image(hardware__cpu__optimized__version="x86_64_v3"), host("zen4"))
    assert (judgement.verdict, judgement.code) == (Verdict.DEGRADED, "CPU_SUBOPTIMAL")
    assert "avx512f" in judgement.reason


def test_dispatching_software_is_not_suboptimal() -> None:
    stated = image(hardware__cpu__optimized__version="x86_64_v2", hardware__cpu__optimized__mode="dispatch")
    assert worst(check_cpu(stated, host("zen4"))) is Verdict.OK


def test_no_statement_is_unknown_never_ok() -> None:
    (judgement,) = check_cpu(image(without="hardware.cpu.optimized.version"), host())
    assert (judgement.verdict, judgement.code) == (Verdict.UNKNOWN, "CPU_NOT_STATED")


def test_architecture_alone_is_enough_to_fail() -> None:
    arm = replace(image(without="hardware.cpu.optimized.version"), architecture="arm64")
    assert worst(check_cpu(arm, host())) is Verdict.FAILS


def test_a_target_that_nobody_knows_is_unknown() -> None:
    assert worst(check_cpu(image(hardware__cpu__optimized__version="quantum9"), host())) is Verdict.UNKNOWN


def test_stated_features_count_besides_the_target() -> None:
    stated = image(hardware__cpu__optimized__version="x86_64_v3", hardware__cpu__features="avx512f")
    (judgement,) = check_cpu(stated, host("zen3"))
    assert judgement.verdict is Verdict.FAILS
    assert "avx512f" in judgement.reason


def test_an_operating_system_has_needs_of_its_own() -> None:
    rhel = image(hardware__cpu__optimized__version="x86_64", os__vendor="rhel", os__version="10.1")
    codes = {judgement.code: judgement.verdict for judgement in check_cpu(rhel, host("nehalem"))}
    assert codes["CPU_OS_BASELINE"] is Verdict.FAILS


def test_power_is_judged_by_generation() -> None:
    power8 = Cpu("ppc64le", "power8le", "IBM")
    assert verdict("power8le", power8) is Verdict.OK
    assert verdict("power9le", power8) is Verdict.FAILS


def test_grace_and_neoverse_v1() -> None:
    """archspec's order says no; the flags that lack are none that compilers use."""
    lacking = missing_flags(cpu_of("neoverse_v2"), "neoverse_v1")
    assert lacking
    assert verdict("neoverse_v1", cpu_of("neoverse_v2")) is Verdict.DEGRADED


def cpu_of(target: str) -> Cpu:
    known = known_targets()[target]
    return Cpu(known.family.name, target, known.vendor, tuple(sorted(known.features)))


def test_a_profile_without_flags_has_those_of_its_target() -> None:
    assert verdict("zen3", Cpu("x86_64", "zen3", "AuthenticAMD")) is Verdict.OK
    assert verdict("zen4", Cpu("x86_64", "zen3", "AuthenticAMD")) is Verdict.FAILS


@pytest.mark.parametrize("row", rows("cpu_aliases"), ids=lambda row: row["name"])
def test_aliases_lead_to_targets(row: dict[str, str]) -> None:
    assert canonical_target(row["name"]) in known_targets()
    assert canonical_target(row["name"]) == row["target"]


@settings(deadline=None)  # other work on the machine does not count
@given(st.sampled_from(sorted(known_targets())), st.sampled_from(sorted(known_targets())), st.data())
def test_taking_a_flag_away_never_improves_the_verdict(target: str, on: str, data: st.DataObject) -> None:
    whole = cpu_of(on)
    hidden = data.draw(st.sets(st.sampled_from(sorted(whole.flags or ("none",)))))
    masked = replace(whole, flags=tuple(flag for flag in whole.flags or () if flag not in hidden))
    # A wide extension that is hidden cannot be "unused" any more: ok and degraded may change places, others not.
    before, after = verdict(target, whole), verdict(target, masked)
    assert (after is Verdict.FAILS) >= (before is Verdict.FAILS)
