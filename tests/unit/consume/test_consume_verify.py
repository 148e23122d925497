from __future__ import annotations

import json
from pathlib import Path

import pytest

from hpc3.cli import main
from hpc3.consume.verify import Comparison, offers, verify_annotations
from hpc3.evidence.scan import observe_tree
from hpc3.evidence.tree import DirectoryTree
from hpc3.facts import Evidence, Known, Unknown
from hpc3.observed import CpuUse, FeatureUse, Observed, Package
from hpc3.vocabulary import key, vocabulary
from unit.consume.root_file_systems import build_root, compile_c

TRUE = {
    "communication.framework": "ucx",
    "hardware.gpu.vendor": "none",
    "mpi.abi.family": "openmpi",
    "mpi.abi.soname": "libmpi.so.40",
    "mpi.abi.version": "40.30.4",
    "mpi.implementation": "openmpi",
    "mpi.library.lookup": "runpath",
    "mpi.version": "4.1.4",
    "os.name": "Debian GNU/Linux 12 (bookworm)",
    "os.release": "12.5",
    "os.vendor": "debian",
    "os.version": "12",
    "software.name": "gromacs",
    "software.packages": "gromacs@2022.5",
    "system.libc.name": "glibc",
    "system.libc.version": "2.36",
    "system.page.size.max": "4096",
    "ucx.version": "1.13.1",
    "userland.profile": "/etc/profile,/etc/profile.d/app.sh",
    "userland.shell": "/bin/bash",
    "userland.tools": "jq",
}
LIES = {
    "communication.framework": "libfabric",
    "hardware.gpu.vendor": "nvidia",
    "mpi.abi.family": "mpich",
    "mpi.abi.soname": "libmpi.so.12",
    "mpi.abi.version": "12.2.2",
    "mpi.implementation": "mpich",
    "mpi.library.lookup": "rpath",
    "mpi.version": "5.0.3",
    "os.vendor": "ubuntu",
    "os.version": "11",
    "software.packages": "gromacs@2024.1",
    "system.kernel.version.min": "2.6.32",
    "system.libc.name": "musl",
    "system.libc.version": "2.28",
    "system.page.size.max": "65536",
    "ucx.version": "1.16",
    "userland.profile": "/etc/profile.d/none.sh",
    "userland.tools": "wget",
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_root(tmp_path_factory.mktemp("root"))


@pytest.fixture(scope="module")
def observed(root: Path) -> Observed:
    return observe_tree(DirectoryTree(root))


def compare(name: str, value: str, observed: Observed) -> Comparison:
    (found,) = verify_annotations({key(name): value}, observed)
    return found


@pytest.mark.parametrize("name", TRUE)
def test_a_true_annotation_agrees(name: str, observed: Observed) -> None:
    assert vocabulary()[key(name)].fault(TRUE[name]) == ""
    found = compare(name, TRUE[name], observed)
    assert (found.verdict, bool(found.evidence)) == ("agrees", True), found


@pytest.mark.parametrize("name", LIES)
def test_a_lie_is_contradicted(name: str, observed: Observed) -> None:
    found = compare(name, LIES[name], observed)
    assert found.verdict == "contradicts", found
    assert found.reason


@pytest.mark.parametrize(
    ("name", "value"),
    [("hardware.cpu.optimized.version", "zen3"), ("software.name", "lammps"), ("libfabric.version", "1.20.0")],
)
def test_what_files_do_not_show_is_unproven(name: str, value: str, observed: Observed) -> None:
    assert compare(name, value, observed).verdict == "unproven"


def test_versions_agree_as_far_as_both_say(observed: Observed) -> None:
    assert compare("mpi.version", "4.1", observed).verdict == "agrees"
    assert compare("mpi.version", "4.1.40", observed).verdict == "contradicts"
    assert compare("mpi.abi.version", "40", observed).verdict == "agrees"


def test_the_binary_beats_the_package_database(root: Path, tmp_path: Path) -> None:
    copy = build_root(tmp_path / "copy")
    status = copy / "var/lib/dpkg/status"
    status.write_text(status.read_text().replace("4.1.4-3", "5.0.0-1"))
    fact = observe_tree(DirectoryTree(copy)).values[key("mpi.version")]
    assert isinstance(fact, Known)
    assert (fact.value, fact.evidence[0].field) == ("4.1.4", "ompi_version_string")


def test_two_mpis_are_not_averaged(tmp_path: Path) -> None:
    copy = build_root(tmp_path / "copy")
    other = compile_c(
        tmp_path / "libmpich.so.12",
        "int MPI_Init(void) { return 0; }",
        "-shared",
        "-fPIC",
        "-Wl,-soname,libmpich.so.12",
    )
    compile_c(
        copy / "opt/app/bin/other", "extern int MPI_Init(void); int main(void) { return MPI_Init(); }", str(other)
    )
    fact = observe_tree(DirectoryTree(copy)).values[key("mpi.implementation")]
    assert isinstance(fact, Unknown)
    assert "libmpich.so.12" in fact.reason
    assert "libmpi.so.40" in fact.reason


def test_an_mpi_outside_the_image_is_unknown_but_its_soname_is_not(tmp_path: Path) -> None:
    other = compile_c(
        tmp_path / "libmpi.so.12", "int MPI_Init(void) { return 0; }", "-shared", "-fPIC", "-Wl,-soname,libmpi.so.12"
    )
    source = "extern int MPI_Init(void); int main(void) { return MPI_Init(); }"
    compile_c(tmp_path / "root/bin/solver", source, str(other))
    values = observe_tree(DirectoryTree(tmp_path / "root")).values
    assert values[key("mpi.abi.soname")].value == "libmpi.so.12"  # type: ignore[union-attr]
    assert isinstance(values[key("mpi.implementation")], Unknown)


def test_offers_are_what_is_not_stated(observed: Observed) -> None:
    offered = {offer.key: offer.value for offer in offers({key("mpi.version"): "4.1.4"}, observed)}
    assert key("mpi.version") not in offered
    assert offered[key("mpi.implementation")] == "openmpi"
    assert all(vocabulary()[name].fault(value) == "" for name, value in offered.items())


def cpu(**uses: tuple[str, ...]) -> Observed:
    places = (Evidence("/bin/x", "0x10", "f"),)
    made = {way: {name: FeatureUse(name, 5, places) for name in names} for way, names in uses.items()}
    return Observed(values={}, cpu=CpuUse("x86_64", files=1, **made), families={"x86_64": places[0]})


@pytest.mark.parametrize(
    ("target", "observed_use", "expected"),
    [
        ("x86_64", cpu(), "agrees"),
        ("x86_64", cpu(required=("sse3",)), "contradicts"),
        ("x86_64_v3", cpu(required=("avx2", "fma", "sse3")), "agrees"),
        ("zen3", cpu(required=("avx2", "vaes")), "agrees"),
        ("zen3", cpu(required=("avx512f",)), "contradicts"),
        ("x86_64_v2", cpu(dispatched=("avx512f",)), "agrees"),
        ("x86_64_v2", cpu(unclear=("avx",)), "unproven"),
        ("x86_64_v2", cpu(unclear=("avx",), required=("avx512f",)), "contradicts"),
        ("neoverse_v1", cpu(), "contradicts"),
        ("warp9", cpu(), "unproven"),
    ],
)
def test_targets(target: str, observed_use: Observed, expected: str) -> None:
    assert compare("hardware.cpu.optimized.version", target, observed_use).verdict == expected


def test_code_that_was_not_analysed_leaves_the_target_open() -> None:
    place = Evidence("/bin/x")
    use = CpuUse("x86_64", files=2, missing=("/bin/y: not analysed",))
    shown = Observed(values={}, cpu=use, families={"x86_64": place, "aarch64": place})
    assert compare("hardware.cpu.optimized.version", "x86_64", shown).verdict == "unproven"
    assert compare("hardware.cpu.features", "avx", shown).verdict == "unproven"
    assert compare("hardware.cpu.optimized.version", "neoverse_v1", shown).verdict == "unproven"


def test_modes_and_features() -> None:
    target = key("hardware.cpu.optimized.version")
    mode = key("hardware.cpu.optimized.mode")
    stated = {target: "x86_64_v2", mode: "dispatch"}
    found = {c.key: c.verdict for c in verify_annotations(stated, cpu(dispatched=("avx2",)))}
    assert found == {target: "agrees", mode: "agrees"}
    found = {c.key: c.verdict for c in verify_annotations({**stated, mode: "microarch"}, cpu())}
    assert found[mode] == "contradicts"
    assert compare("hardware.cpu.features", "avx2,sse3", cpu(required=("sse3",))).verdict == "agrees"
    assert compare("hardware.cpu.features", "sse3", cpu(required=("avx",))).verdict == "contradicts"


def gpu(architectures: str, ptx: str = "") -> Observed:
    place = (Evidence("/bin/x", "0x10", "cubin"),)
    values = {key("hardware.gpu.architecture"): Known(architectures, place)}
    if ptx:
        values[key("hardware.gpu.ptx")] = Known(ptx, place)
    return Observed(values=dict(values))


@pytest.mark.parametrize(
    ("stated", "shown", "expected"),
    [("sm_80", "sm_80", "agrees"), ("sm_80", "sm_80,sm_90", "agrees"), ("sm_80,sm_90", "sm_80", "contradicts")],
)
def test_gpu_architectures(stated: str, shown: str, expected: str) -> None:
    assert compare("hardware.gpu.architecture", stated, gpu(shown)).verdict == expected


def test_pmi_versions_do_not_show() -> None:
    place = (Evidence("/lib/libmpi.so.40"),)
    shown = Observed(values={key("mpi.pmi"): Known("pmix", place)})
    assert compare("mpi.pmi", "pmix_v5", shown).verdict == "agrees"
    assert compare("mpi.pmi", "pmi2", shown).verdict == "unproven"
    assert compare("mpi.pmi", "none", shown).verdict == "contradicts"


def test_packages_of_the_manager() -> None:
    package = Package("gromacs", "2024.1", "spack", Evidence("/opt/gromacs/.spack/spec.json"))
    shown = Observed(values={}, packages={"gromacs": (package,)})
    assert compare("software.packages", "gromacs@2024.1", shown).verdict == "agrees"
    assert compare("software.packages", "gromacs@2024.1,lammps@1", shown).verdict == "unproven"
    assert compare("software.packages", "gromacs@2023.1", shown).verdict == "contradicts"


@pytest.mark.parametrize(
    ("version", "stated", "expected"),
    [
        ("2024.1", "2024.1", "agrees"),
        ("2024.1.2", "2024.1", "agrees"),
        ("2024.1-r3", "2024.1.0", "agrees"),
        ("2024.1", "2025.3", "contradicts"),
    ],
)
def test_the_version_of_the_software(version: str, stated: str, expected: str) -> None:
    package = Package("gromacs", version, "apk", Evidence("/lib/apk/db/installed", "gromacs", version))
    shown = Observed(values={}, packages={"gromacs": (package,)})
    annotations = {key("software.name"): "gromacs", key("software.version"): stated}
    found = {each.key: each for each in verify_annotations(annotations, shown)}
    assert found[key("software.version")].verdict == expected
    assert found[key("software.version")].evidence == (package.evidence,)
    assert version not in str(found[key("software.name")].evidence[0])  # a name proves no version


def test_no_package_proves_no_version() -> None:
    for more in ({}, {key("software.name"): "gromacs"}):
        found = verify_annotations({**more, key("software.version"): "1"}, Observed(values={}))
        assert {each.verdict for each in found} == {"unproven"}


# -- command line


def write(path: Path, annotations: dict[str, str]) -> str:
    path.write_text(json.dumps({key(name): value for name, value in annotations.items()}))
    return str(path)


def test_the_verb_accepts_the_truth(root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(root), "--from", write(tmp_path / "a.json", TRUE), "--no-isa"]) == 0
    out, _ = capfd.readouterr()
    assert out.count("agrees") >= len(TRUE)
    assert "contradicts" not in out


def test_the_verb_rejects_a_lie(root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    stated = write(tmp_path / "a.json", {**TRUE, "mpi.version": "5.0.3"})
    assert main(["verify", str(root), "--from", stated, "--format", "json"]) == 1
    document = json.loads(capfd.readouterr().out)
    (lie,) = [c for c in document["comparisons"] if c["verdict"] == "contradicts"]
    assert (lie["key"], lie["observed"]) == (key("mpi.version"), "4.1.4")
    assert lie["evidence"][0].startswith("/usr/lib/x86_64-linux-gnu/libmpi.so.40.30.4:0x")


def test_emit_gives_annotations_that_verify(root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "emitted.json"
    assert main(["verify", str(root), "--emit", "--no-isa", "-o", str(out)]) == 0
    emitted = json.loads(out.read_text())
    assert emitted[key("mpi.implementation")] == "openmpi"
    assert list(emitted) == sorted(emitted)
    assert main(["verify", str(root), "--from", str(out), "--no-isa"]) == 0
    assert "unproven" not in capfd.readouterr().out


def test_hostile_names_do_not_reach_the_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "etc").mkdir()
    (root / "etc/os-release").write_text("ID=debian\x1b[2J\nPRETTY_NAME='a\x07b'\n")
    (root / "bad\x1b[31m").write_bytes(b"\x7fELF" + bytes(60))
    assert main(["verify", str(root)]) == 0
    assert "\x1b" not in "".join(capfd.readouterr())


def test_a_folder_has_no_path(root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    stated = write(tmp_path / "a.json", {"userland.tools": "jq,wget"})
    assert main(["verify", str(root), "--from", stated, "--no-isa"]) == 0
    assert "no PATH is known" in capfd.readouterr().out


def test_usage(tmp_path: Path) -> None:
    assert main(["verify", str(tmp_path / "none")]) == 3
    bad = tmp_path / "bad.json"
    bad.write_text('{"a": 1}')
    assert main(["verify", str(tmp_path), "--from", str(bad)]) == 3
