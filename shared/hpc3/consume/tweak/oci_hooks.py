"""OCI hook files (oci-hooks(5), version 1.0.0), which Podman and Sarus read alike.

Podman matches expressions anywhere, Sarus from end to end: every one here is anchored, dots are escaped, and lists
are matched by entry.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from hpc3.vocabulary import key

from .configuration import File
from .wiring import Wiring

#: Where Sarus installs its hooks; the programs are the same under Podman.
SARUS_BIN = "/opt/sarus/default/bin"
_STAGE = "createContainer"  # the one that both know; prestart is deprecated


def hook_files(folder: str, wiring: Wiring, programs: str = SARUS_BIN) -> tuple[File, ...]:
    """Return the hooks that lend a host's MPI and libfabric to images that ask for it.

    Args:
        folder: where the engine looks for hooks, below the root.
        wiring: what the host lends; its paths alone are used, nothing of the image.
        programs: folder of the hook programs.
    """
    files = []
    if wiring.mpi:
        when = {
            anchored(key("mpi.abi.family")): f"^{wiring.mpi.mpi.abi_family}$",
            anchored(key("mpi.portability.mode")): "^(bind|replace)$",
        }
        environment = {
            "LDCONFIG_PATH": "/sbin/ldconfig",
            "MPI_COMPATIBILITY_TYPE": "major",
            "MPI_DEPENDENCY_LIBS": "",
            "MPI_LIBS": wiring.mpi.mpi.path,
        }
        text = hook(f"{programs}/mpi_hook", [], {**environment, **_devices(wiring)}, when)
        files.append(File(f"{folder}/50-hpc3-mpi.json", text))
    elif wiring.libfabric:
        when = {
            anchored(key("communication.framework")): entry("libfabric"),
            anchored(key("mpi.portability.optimization")): entry("libfabric-inject"),
        }
        target = f"/usr/lib/{wiring.libfabric.rpartition('/')[2]}"
        mount = f"--mount=type=bind,src={wiring.libfabric},dst={target},readonly"
        files.append(File(f"{folder}/50-hpc3-libfabric.json", hook(f"{programs}/mount_hook", [mount], {}, when)))
    return tuple(files)


def hook(path: str, arguments: list[str], environment: Mapping[str, str], annotations: Mapping[str, str]) -> str:
    """Return a hook file: run ``path`` where every annotation matches."""
    program: dict[str, object] = {"path": path}
    if arguments:
        program["args"] = [path.rpartition("/")[2], *arguments]
    if environment:
        program["env"] = [f"{name}={value}" for name, value in sorted(environment.items())]
    document = {"version": "1.0.0", "hook": program, "when": {"annotations": dict(annotations)}, "stages": [_STAGE]}
    return json.dumps(document, indent=2) + "\n"


def anchored(text: str) -> str:
    """Return the expression that matches ``text`` and nothing else."""
    return f"^{re.escape(text)}$"


def entry(word: str) -> str:
    """Return the expression that matches a comma-separated list with the entry ``word``."""
    return f"^(.*,)?{re.escape(word)}(,.*)?$"


def _devices(wiring: Wiring) -> dict[str, str]:
    cards = ["/dev/cxi0"] if "cxi" in wiring.networks else []
    return {"BIND_MOUNTS": ":".join(cards)} if cards else {}
