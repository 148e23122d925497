"""Read the running host: every domain on its own, so that one that fails leaves the others known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from hpc3.errors import HostError, Hpc3Error
from hpc3.fingerprint import Fingerprint

from .cpu import read_cpu
from .device import read_devices
from .engine import EngineQuestions
from .fabric import read_fabrics
from .gpu import read_gpus
from .kernel import read_kernel, read_limits
from .launcher import read_launcher
from .libc import read_libc
from .library import read_libraries
from .mpi import read_mpis

T = TypeVar("T")


def read_host(name: str = "", root: Path = Path("/")) -> Fingerprint:
    """Return the fingerprint of the running machine; needs no privilege.

    Args:
        name: what to call it; empty: anonymous.
        root: where the machine's file system is mounted.

    Raises:
        HostError: nothing at all could be read.
    """
    questions = EngineQuestions()  # the engines think while the rest is read
    unknown: dict[str, str] = {}

    def attempt(attribute: str, reader: Callable[[Path], T]) -> T | None:
        try:
            return reader(root)
        except (Hpc3Error, OSError) as error:
            unknown[attribute] = str(error)
            return None

    host = Fingerprint(
        name=name,
        cpu=attempt("cpu", read_cpu),
        kernel=attempt("kernel", read_kernel),
        libc=attempt("libc", read_libc),
        gpus=attempt("gpus", read_gpus),
        fabrics=attempt("fabrics", read_fabrics),
        libraries=attempt("libraries", read_libraries),
        mpis=attempt("mpis", read_mpis),
        launcher=attempt("launcher", read_launcher),
        devices=attempt("devices", read_devices),
        limits=attempt("limits", read_limits),
        runtimes=questions.answers(),
    )
    if host.cpu is None and host.kernel is None:
        raise HostError("neither the processor nor the kernel could be read", remedy="is /proc mounted?")
    return replace(host, unknown=unknown)
