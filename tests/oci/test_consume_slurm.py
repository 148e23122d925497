"""What docs/consumers.md gives administrators of Slurm, in a real Slurm: Debian's, unpacked into the user's cache."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import peers
from corpus.package_cache import fetch_debian
from hpc3.host.launcher import flavours_from_list, read_launcher
from oci.oci_peers import Registry, free_port, hpc3_ok
from oci.test_consume_registry import HOST, PREFIX, STATED

pytestmark = [pytest.mark.registry, pytest.mark.corpus]

PACKAGES = ("slurmctld", "slurmd", "slurm-client", "slurm-wlm-basic-plugins", "libslurm-dev", "liblua5.1-0")
#: What Pyxis registers (NVIDIA/pyxis, args.c), and nothing else of it: no container is started.
PYXIS = """
#include <slurm/spank.h>
SPANK_PLUGIN(pyxis, 1)
static int seen(int value, const char *argument, int remote) { return ESPANK_SUCCESS; }
static struct spank_option image = {"container-image", "IMAGE", "the image", 1, 0, (spank_opt_cb_f) seen};
int slurm_spank_init(spank_t spank, int argc, char **argv) { return spank_option_register(spank, &image); }
"""
CONFIG = """
ClusterName=test
SlurmctldHost={name}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={daemon}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/none
CredType=cred/none
PluginDir={plugins}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
CliFilterPlugins=lua
TaskProlog={folder}/task_prolog.sh
SelectType=select/linear
NodeName={name} NodeAddr=127.0.0.1 CPUs=1 State=UNKNOWN
PartitionName=all Nodes={name} Default=YES State=UP
"""


@dataclass(frozen=True)
class Slurm:
    """A running cluster of one node: its programs, and the environment in which they are found."""

    bin: Path
    plugins: Path
    environment: dict[str, str]

    def run(self, program: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.bin / program), *arguments],
            env={**self.environment, **environment},
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip


def of_page(language: str, holding: str) -> str:
    page = (peers.REPOSITORY / "docs/consumers.md").read_text("utf-8")
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (block,) = [block for block in blocks if holding in block]
    return str(block)


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    roots = {package: fetch_debian(package) for package in PACKAGES}
    peers.need_program("gcc")
    folder = tmp_path_factory.mktemp("slurm")
    (plugins,) = roots["slurm-wlm-basic-plugins"].glob("usr/lib/*/slurm-wlm")
    (lua,) = roots["liblua5.1-0"].glob("usr/lib/*-linux-gnu")
    write_files(folder, plugins, roots["libslurm-dev"] / "usr/include")
    environment = {
        **os.environ,
        "LD_LIBRARY_PATH": f"{plugins}:{lua}",
        "SLURM_CONF": str(folder / "slurm.conf"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    daemons = roots["slurmd"] / "usr/sbin"
    node = (daemons / "slurmd-wlm", "-D", "-N", socket.gethostname(), "-d", daemons / "slurmstepd-wlm")
    controller = (roots["slurmctld"] / "usr/sbin/slurmctld-wlm", "-D", "-c")
    with contextlib.ExitStack() as stack:
        stack.enter_context(running(folder / "slurmctld.log", environment, *controller))
        stack.enter_context(running(folder / "slurmd.log", environment, *node))
        cluster = Slurm(roots["slurm-client"] / "usr/bin", plugins, environment)
        wait_for_a_node(cluster, folder)
        peers.ran(cluster.run("srun", "--version").stdout.strip())
        yield cluster


def write_files(folder: Path, plugins: Path, headers: Path) -> None:
    for name in ("state", "spool"):
        (folder / name).mkdir()
    values = {"name": socket.gethostname(), "user": getpass.getuser(), "plugins": plugins, "folder": folder}
    text = CONFIG.format(controller=free_port(), daemon=free_port(), **values)
    (folder / "slurm.conf").write_text(text)
    (folder / "node.json").write_text(json.dumps(HOST))
    script = of_page("lua", "slurm_cli_pre_submit")
    (folder / "cli_filter.lua").write_text(script.replace("/etc/hpc3/compute.json", str(folder / "node.json")))
    prolog = re.findall(r"<<'END'\n(.*?)^END$", of_page("sh", "task_prolog.sh <<"), re.MULTILINE | re.DOTALL)
    (folder / "task_prolog.sh").write_text(prolog[0].replace("/etc/hpc3/compute.json", str(folder / "node.json")))
    (folder / "task_prolog.sh").chmod(0o755)
    (folder / "pyxis.c").write_text(PYXIS)
    compiled = ["gcc", "-shared", "-fPIC", f"-I{headers}", "-o", str(folder / "pyxis.so"), str(folder / "pyxis.c")]
    subprocess.run(compiled, check=True)
    (folder / "plugstack.conf").write_text(f"required {folder}/pyxis.so\n")


@contextlib.contextmanager
def running(log: Path, environment: dict[str, str], *command: object) -> Iterator[None]:
    with log.open("wb") as stream:
        process = subprocess.Popen([str(word) for word in command], env=environment, stdout=stream, stderr=stream)
        try:
            yield
        finally:
            process.terminate()
            process.wait(20)


def wait_for_a_node(cluster: Slurm, folder: Path) -> None:
    for _ in range(100):
        if "idle" in cluster.run("sinfo", "-h", "-o", "%T").stdout:
            return
        time.sleep(0.2)
    said = [line for log in folder.glob("*.log") for line in log.read_text("utf-8", "replace").splitlines()[-1:]]
    pytest.skip(f"Debian's Slurm does not start here: {said}")


@pytest.fixture(scope="module")
def images(registry: Registry, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A repository with an image that runs on the node, and one that does not; as Pyxis spells it."""
    for target in ("zen2", "zen4"):
        registry.push(tiny, f"asked:{target}")
        stated = {**STATED, "hardware.cpu.optimized.version": target}
        path = tmp_path_factory.mktemp("stated") / f"{target}.json"
        path.write_text(json.dumps({PREFIX + key: value for key, value in stated.items()}))
        hpc3_ok("apply", registry.ref(f"asked:{target}"), "--from", path)
    return f"{registry.host}#asked"


def test_the_filter_tells_before_the_job_waits_and_lets_it_pass(slurm: Slurm, images: str) -> None:
    done = slurm.run("srun", f"--container-image={images}:zen4", "echo", "ran")
    assert (done.returncode, done.stdout) == (0, "ran\n")
    assert "verdict: FAILS" in done.stderr
    assert "avx512f" in done.stderr
    for quiet in (f"--container-image={images}:zen2", f"--container-image={images}:none", "--label"):
        done = slurm.run("srun", quiet, "echo", "ran")
        assert done.returncode == 0
        assert "verdict" not in done.stderr


def test_the_filter_hands_no_command_to_a_shell(slurm: Slurm, tmp_path: Path) -> None:
    done = slurm.run("srun", f"--container-image=x;touch {tmp_path}/owned", "echo", "ran")
    assert (done.returncode, done.stdout) == (0, "ran\n")
    assert not (tmp_path / "owned").exists()


def test_the_task_prolog_says_it_in_the_output_of_one_task(slurm: Slurm, images: str) -> None:
    done = slurm.run("srun", "-n2", "--overcommit", "echo", "ran", PYXIS_CONTAINER_IMAGE=f"{images}:zen4")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines.count("ran") == 2
    (said,) = [line for line in lines if line != "ran"]
    assert said.startswith("hpc3: FAILS - will not run here")


def test_the_task_prolog_of_a_batch_job(slurm: Slurm, images: str, tmp_path: Path) -> None:
    command = f"{slurm.bin}/srun echo ran"
    output = tmp_path / "out.txt"
    slurm.run("sbatch", "--wait", f"--container-image={images}:zen4", f"--output={output}", "--wrap", command)
    assert "hpc3: FAILS" in output.read_text("utf-8")
    assert "ran" in output.read_text("utf-8")


def test_the_flavours_in_its_files_are_those_that_it_lists(slurm: Slurm) -> None:
    listed = slurm.run("srun", "--mpi=list")
    launcher = read_launcher(slurm.plugins.parents[3])
    assert launcher.name == "slurm"
    assert set(launcher.pmi or ()) == flavours_from_list(listed.stdout + listed.stderr)
    assert {"pmi2", "pmix"} <= set(launcher.pmi or ())
