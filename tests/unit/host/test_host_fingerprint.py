from __future__ import annotations

import getpass
import json
import os
import re
import socket
import subprocess
from pathlib import Path

import pytest

from hpc3.cli import main
from hpc3.errors import HostError
from hpc3.fingerprint import Launcher
from hpc3.host.device import read_devices
from hpc3.host.fabric import read_fabrics
from hpc3.host.fingerprint import read_host
from hpc3.host.launcher import flavours_from_list, read_launcher
from hpc3.host.library import symbol_versions
from hpc3.host.mpi import read_mpis


def test_this_host_is_read_and_is_anonymous() -> None:
    host = read_host()
    assert host.cpu is not None
    assert host.kernel is not None
    assert host.kernel.version == os.uname().release
    words = re.findall(r"[\w.-]+", str(host))
    assert socket.gethostname() not in words
    assert getpass.getuser() not in words


def test_mpi_of_this_machine_is_what_its_packages_say() -> None:
    libraries = Path("/usr/lib/x86_64-linux-gnu")
    if not (libraries / "libmpi.so.40").exists():
        pytest.skip("Debian's Open MPI is not installed")
    (mpi,) = [mpi for mpi in read_mpis(Path("/")) if mpi.soname == "libmpi.so.40"]
    asked = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Version}", "libopenmpi3"], capture_output=True, text=True, check=True
    )
    assert (mpi.implementation, mpi.abi_family) == ("openmpi", "openmpi")
    assert asked.stdout.startswith(mpi.version)
    assert mpi.abi_version.startswith("40.")


def test_symbol_versions_are_what_readelf_says() -> None:
    library = Path("/usr/lib/x86_64-linux-gnu/libfabric.so.1")
    if not library.exists():
        pytest.skip("libfabric is not installed")
    versions = symbol_versions(library)
    names = subprocess.run(["readelf", "-V", "-W", str(library)], capture_output=True, text=True, check=True).stdout
    assert f"GLIBC_{versions['GLIBC']}" in names
    assert f"FABRIC_{versions['FABRIC']}" in names


@pytest.mark.parametrize("content", [b"", b"x", b"\x7fELF\x02\x01", b"\x7fELF\x02\x01" + b"\xff" * 80])
def test_a_damaged_library_names_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "libmpi.so.12").write_bytes(content)
    assert symbol_versions(tmp_path / "libmpi.so.12") == {}
    (tmp_path / "usr/lib64").mkdir(parents=True)
    (tmp_path / "libmpi.so.12").rename(tmp_path / "usr/lib64/libmpi.so.12")
    assert [mpi.implementation for mpi in read_mpis(tmp_path)] == ["other"]


def test_an_mpi_in_a_site_prefix(tmp_path: Path) -> None:
    folder = tmp_path / "opt/cray/pe/mpich/8.1.29/ofi/gnu/12.3/lib-abi-mpich"
    folder.mkdir(parents=True)
    (folder / "libmpi.so.12.0.0").write_bytes(b"CRAY MPICH version 8.1.29")
    (folder / "libmpi.so.12").symlink_to("libmpi.so.12.0.0")
    (mpi,) = read_mpis(tmp_path)
    assert (mpi.implementation, mpi.version, mpi.abi_family) == ("cray-mpich", "8.1.29", "mpich")
    assert (mpi.soname, mpi.abi_version) == ("libmpi.so.12", "12.0.0")
    assert mpi.path.startswith("/opt/cray/")


CDI = """\
{"cdiVersion": "0.6.0", "kind": "nvidia.com/gpu", "devices": [{"name": "0"}, {"name": "all"}]}
"""


def test_devices_and_cdi_names(tmp_path: Path) -> None:
    for name in ("dev/infiniband/uverbs0", "dev/kfd", "dev/sda", "etc/cdi/nvidia.json", "etc/cdi/broken.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "etc/cdi/nvidia.json").write_text(CDI)
    (tmp_path / "etc/cdi/broken.yaml").write_text("kind: [")
    assert read_devices(tmp_path) == ("/dev/infiniband", "/dev/kfd", "nvidia.com/gpu=0", "nvidia.com/gpu=all")


def test_network_cards(tmp_path: Path) -> None:
    for name in ("infiniband/mlx5_0", "infiniband/mlx5_1", "infiniband/site_name", "cxi/cxi0"):
        (tmp_path / "sys/class" / name).mkdir(parents=True)
    found = {fabric.kind: fabric.count for fabric in read_fabrics(tmp_path)}
    assert found == {"mlx5": 2, "verbs": 1, "cxi": 1}
    assert read_fabrics(tmp_path / "elsewhere") == ()


def test_a_host_that_says_nothing_is_an_error_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(root: Path) -> None:
        raise HostError("cannot be read", where=str(root))

    monkeypatch.setattr("hpc3.host.fingerprint.read_kernel", nothing)
    with pytest.raises(HostError) as caught:
        read_host(root=tmp_path)
    assert caught.value.exit_code == 5


def test_slurm_flavours_from_its_plugins(tmp_path: Path) -> None:
    folder = tmp_path / "usr/lib64/slurm"
    folder.mkdir(parents=True)
    for name in (
        "mpi_none.so",
        "mpi_pmi2.so",
        "mpi_pmix.so",
        "mpi_pmix_v4.so",
        "mpi_cray_shasta.so",
        "select_linear.so",
    ):
        (folder / name).touch()
    assert read_launcher(tmp_path).pmi == ("cray_shasta", "pmi2", "pmix", "pmix_v4")


def made_program(root: Path, name: str, *plugins: str) -> None:
    for path in (f"usr/bin/{name}", *(f"usr/lib64/flux/shell/plugins/{plugin}" for plugin in plugins)):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


@pytest.mark.parametrize(
    ("program", "plugins", "launcher"),
    [
        ("flux", (), Launcher("flux", pmi=("pmi1",))),
        ("flux", ("pmix/pmix.so", "cray_pals.so", "mpi.so"), Launcher("flux", pmi=("cray", "pmi1", "pmix"))),
        ("jsrun", (), Launcher("jsm", pmi=("pmix",))),
        ("srun", (), Launcher("slurm", pmi=())),
        ("prun", (), Launcher("none", pmi=())),  # OpenHPC's wrapper around whatever launcher there is
    ],
)
def test_other_launchers(tmp_path: Path, program: str, plugins: tuple[str, ...], launcher: Launcher) -> None:
    made_program(tmp_path, program, *plugins)
    assert read_launcher(tmp_path) == launcher


def test_the_launcher_nearest_to_the_ranks_counts(tmp_path: Path) -> None:
    for program in ("flux", "jsrun", "blaunch", "pbsdsh"):
        made_program(tmp_path, program)
    assert read_launcher(tmp_path).name == "flux"


@pytest.mark.parametrize(
    ("programs", "reason"),
    [(("pbsdsh",), "PBS offers no PMI"), (("blaunch",), "LSF offers no PMI"), (("pbsdsh", "palsrun"), "HPE PALS")],
)
def test_launchers_that_do_not_tell(tmp_path: Path, programs: tuple[str, ...], reason: str) -> None:
    for program in programs:
        made_program(tmp_path, program)
    with pytest.raises(HostError, match=reason):
        read_launcher(tmp_path)


def test_slurm_flavours_from_its_list() -> None:
    text = "MPI plugin types are...\n\tnone\n\tpmi2\n\tpmix\nspecific pmix plugin versions available: pmix_v4\n"
    assert flavours_from_list(text) == {"pmi2", "pmix", "pmix_v4"}


def test_verb_merges_and_names_what_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fingerprint", "-o", str(tmp_path / "a.json")]) == 0
    host = json.loads((tmp_path / "a.json").read_text("utf-8"))
    host["libc"]["version"] = "2.17"
    (tmp_path / "b.json").write_text(json.dumps(host))
    assert main(["fingerprint", "--merge", str(tmp_path / "a.json"), str(tmp_path / "b.json")]) == 0
    captured = capsys.readouterr()
    assert "b.json has glibc 2.17" in captured.err or "a.json has glibc" in captured.err
    assert json.loads(captured.out)["libc"]["name"] == "glibc"


def test_verb_reads_texts_of_another_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "cpuinfo").write_text("vendor_id : GenuineIntel\nflags : lm mmx sse sse2 pni ssse3\n")
    (tmp_path / "smi").write_text("NVIDIA A100-SXM4-80GB, 545.23.08, 8.0\n")
    assert main(["fingerprint", "--name", "n1", "--from", str(tmp_path / "cpuinfo"), str(tmp_path / "smi")]) == 0
    host = json.loads(capsys.readouterr().out)
    assert (host["name"], host["cpu"]["target"], host["gpus"][0]["architecture"]) == ("n1", "core2", "sm_80")
    assert host["libc"] is None
    assert "no output that was given" in host["unknown"]["libc"]


def test_verb_prints_a_line_for_a_login_banner(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "node.json").write_text(
        json.dumps(
            {
                "schema": "hpc3.fingerprint/1",
                "cpu": {"family": "x86_64", "target": "zen3"},
                "gpus": [{"vendor": "amd", "model": "MI250X", "architecture": "gfx90a", "count": 8}],
                "fabrics": [{"kind": "cxi"}],
                "libc": {"name": "glibc", "version": "2.31"},
                "launcher": {"name": "slurm", "pmi": ["cray_shasta", "pmi2"]},
            }
        )
    )
    arguments = ["fingerprint", "--from", str(tmp_path / "node.json"), "--format", "text", "--name", "node"]
    assert main(arguments) == 0
    line = "node · zen3 · 8x MI250X gfx90a · cxi · glibc 2.31 · slurm cray_shasta,pmi2\n"
    assert capsys.readouterr().out == line
    assert main(["fingerprint", "--format", "text"]) == 0
    assert capsys.readouterr().out.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--from", "nowhere"], ["--merge", "nowhere"]])
def test_verb_on_missing_files(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fingerprint", *arguments]) == 3
    assert capsys.readouterr().err == "hpc3: error: nowhere: cannot be read: No such file or directory\n"
