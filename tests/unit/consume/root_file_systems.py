"""Root file systems with real binaries, compiled here, that annotations can be right or wrong about."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

_OPENMPI = """
char ompi_mpi_comm_world[8]; const char ompi_version_string[] = "4.1.4";
const char *marker = "Open MPI v%d.%d.%d"; int MPI_Init(void) { return 0; }
extern int ucp_init_version(void); int (*use)(void) = ucp_init_version;
"""
_UCP = 'const char *ucp_get_version_string(void) { return "1.13.1"; } int ucp_init_version(void) { return 0; }'
_APPLICATION = "extern int MPI_Init(void); int main(void) { return MPI_Init(); }"
_LIBC = 'const char *gnu_get_libc_version(void) { return "2.36"; }'


def compile_c(place: Path, source: str, *options: str) -> Path:
    """Compile C with GCC; skips where there is none."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("gcc is not here")
    place.parent.mkdir(parents=True, exist_ok=True)
    command = [compiler, "-x", "c", "-", "-x", "none", "-o", place, "-O1", *options]
    done = subprocess.run(command, input=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return place


def build_root(root: Path) -> Path:
    """Return a small Debian with Open MPI 4.1.4 over UCX, and an application that links it by runpath."""
    lib = root / "usr/lib/x86_64-linux-gnu"
    ucp = compile_c(lib / "libucp.so.0.0.0", _UCP, "-shared", "-fPIC", "-Wl,-soname,libucp.so.0")
    (lib / "libucp.so.0").symlink_to("libucp.so.0.0.0")
    mpi = compile_c(
        lib / "libmpi.so.40.30.4",
        _OPENMPI,
        "-shared",
        "-fPIC",
        "-Wl,-soname,libmpi.so.40",
        str(ucp),
        "-Wl,--no-as-needed",
    )
    (lib / "libmpi.so.40").symlink_to("libmpi.so.40.30.4")
    compile_c(
        root / "opt/app/bin/solver",
        _APPLICATION,
        str(mpi),
        f"-Wl,-rpath-link,{lib}",
        "-Wl,--enable-new-dtags,-rpath,/usr/lib/x86_64-linux-gnu",
        f"-L{lib}",
        "-Wl,--allow-shlib-undefined",
    )
    compile_c(lib / "libc.so.6", _LIBC, "-shared", "-fPIC", "-nostdlib", "-Wl,-soname,libc.so.6")
    _write(root / "etc/os-release", 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n')
    _write(root / "etc/debian_version", "12.5\n")
    _write(root / "etc/profile", "PATH=/usr/bin\n")
    _write(root / "etc/profile.d/app.sh", "PATH=/opt/app/bin:$PATH\n")
    for tool in ("bash", "jq"):
        _write(root / "usr/bin" / tool, "#!/bin/sh\n").chmod(0o755)
    (root / "bin").symlink_to("usr/bin")
    _write(
        root / "var/lib/dpkg/status",
        "Package: libopenmpi3\nStatus: install ok installed\nVersion: 4.1.4-3\n\n"
        "Package: gromacs\nStatus: install ok installed\nVersion: 2022.5-2\n",
    )
    return root


def _write(place: Path, text: str) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    return place
