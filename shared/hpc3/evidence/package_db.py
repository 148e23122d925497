"""What the package databases, recipes and install trees inside an image say is there, name and version.

They are metadata: good to name a version that no binary holds, and overruled by any binary that does.
"""

from __future__ import annotations

import json
import re
import sqlite3
import struct
import tempfile
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

from hpc3.facts import Evidence
from hpc3.observed import Package

#: Formats of Berkeley DB and ndb need librpm; the sqlite one (RPM 4.16 and later) does not.
UNREADABLE_RPM_DATABASES = ("var/lib/rpm/Packages", "var/lib/rpm/Packages.db", "usr/lib/sysimage/rpm/Packages.db")

_RPM_NAME, _RPM_VERSION, _RPM_STRING = 1000, 1001, 6  # https://rpm-software-management.github.io/rpm/manual/tags.html
_MOST_PACKAGES = 100_000

Reader = Callable[[str, bytes], "Iterator[Package]"]


def reader_for(path: str) -> tuple[Reader, int] | None:
    """Return what reads the file at ``path`` as package metadata and the most bytes of it, or None if it is none."""
    name = PurePosixPath(path).name
    if path == "var/lib/dpkg/status" or path.startswith("var/lib/dpkg/status.d/"):
        return read_dpkg_status, 64 << 20
    if path == "lib/apk/db/installed":
        return read_apk_installed, 64 << 20
    if name == "rpmdb.sqlite":
        return read_rpm_sqlite, 512 << 20
    if path.endswith("/.spack/spec.json"):
        return read_spack_spec, 16 << 20
    if name.endswith(".pc") and "/pkgconfig/" in path:
        return read_pkg_config, 1 << 16
    if name == "METADATA" and ".dist-info/" in path:
        return read_python_metadata, 1 << 16
    if name.endswith(".eb") and PurePosixPath(path).parent.name == "easybuild":
        return read_easybuild_folder, 0
    return None


def read_dpkg_status(path: str, data: bytes) -> Iterator[Package]:
    """Yield the installed packages of dpkg's status file."""
    for stanza in re.split(r"\n[ \t]*\n", data.decode("utf-8", "replace")):
        fields = _fields(stanza, ("Package", "Version", "Status"))
        if "Package" in fields and "Version" in fields and fields.get("Status", "installed").endswith("installed"):
            yield _package(fields["Package"], upstream_version(fields["Version"]), "dpkg", path, fields["Version"])


def read_apk_installed(path: str, data: bytes) -> Iterator[Package]:
    """Yield the packages of Alpine's ``installed`` file."""
    for stanza in data.decode("utf-8", "replace").split("\n\n"):
        fields = _fields(stanza, ("P", "V"))
        if "P" in fields and "V" in fields:
            yield _package(fields["P"], re.sub(r"-r[0-9]+$", "", fields["V"]), "apk", path, fields["V"])


def read_rpm_sqlite(path: str, data: bytes) -> Iterator[Package]:
    """Yield the packages of an RPM database in sqlite's format."""
    with tempfile.NamedTemporaryFile(suffix=".sqlite") as copy:  # sqlite reads files; the tree may be a tar stream
        copy.write(data)
        copy.flush()
        database = sqlite3.connect(f"file:{copy.name}?mode=ro&immutable=1", uri=True)
        try:
            for (header,) in database.execute("SELECT blob FROM Packages LIMIT ?", (_MOST_PACKAGES,)):
                tags = _rpm_strings(header) if isinstance(header, bytes) else {}
                if _RPM_NAME in tags and _RPM_VERSION in tags:
                    yield _package(tags[_RPM_NAME], tags[_RPM_VERSION], "rpm", path, "Packages")
        except sqlite3.DatabaseError as error:
            raise ValueError(f"not a readable RPM database: {error}") from error
        finally:
            database.close()


def read_spack_spec(path: str, data: bytes) -> Iterator[Package]:
    """Yield the package that a ``.spack/spec.json`` of an install prefix describes: the root, its first node."""
    document = json.loads(data)
    nodes = document.get("spec", {}).get("nodes", []) if isinstance(document, dict) else []
    if isinstance(nodes, list) and nodes and isinstance(nodes[0], dict):
        name, version = nodes[0].get("name"), nodes[0].get("version")
        if isinstance(name, str) and isinstance(version, str):
            yield _package(name, version, "spack", path, "spec.nodes[0]")


def read_pkg_config(path: str, data: bytes) -> Iterator[Package]:
    """Yield the package of a ``.pc`` file, under the file's own name; a version with a variable in it is none."""
    fields = _fields(data.decode("utf-8", "replace"), ("Version",))
    if fields.get("Version") and "$" not in fields["Version"]:
        yield _package(PurePosixPath(path).stem, fields["Version"], "pkg-config", path, "Version")


def read_python_metadata(path: str, data: bytes) -> Iterator[Package]:
    """Yield the distribution of a ``.dist-info/METADATA``."""
    fields = _fields(data.decode("utf-8", "replace").split("\n\n")[0], ("Name", "Version"))
    if "Name" in fields and "Version" in fields:
        yield _package(fields["Name"], fields["Version"], "python", path, "Version")


def read_easybuild_folder(path: str, data: bytes) -> Iterator[Package]:
    """Yield the software of ``software/NAME/VERSION[-TOOLCHAIN][SUFFIX]/easybuild/*.eb``, told from the path alone."""
    parts = PurePosixPath(path).parts
    if len(parts) >= 4 and PurePosixPath(path).stem.startswith(parts[-4] + "-"):
        version = re.match(r"[^-]+", parts[-3])
        if version:
            yield _package(parts[-4], version.group(), "easybuild", path, "")


def upstream_version(debian: str) -> str:
    """Return the upstream part of a Debian version: ``1:4.1.4-3+b1`` is ``4.1.4``, ``0.3.21+ds-4`` is ``0.3.21``."""
    without_epoch = re.sub(r"^[0-9]+:", "", debian)
    without_revision = without_epoch.rsplit("-", 1)[0]
    return re.split(r"[+~](?:dfsg|ds|really|git|repack|deb)", without_revision)[0]


def _fields(stanza: str, names: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for line in stanza.splitlines():
        name, colon, value = line.partition(":")
        if colon and name in names and name not in found:
            found[name] = value.strip()
    return found


def _package(name: str, version: str, manager: str, path: str, detail: str) -> Package:
    return Package(name[:256].lower(), version[:256], manager, Evidence(f"/{path}", name[:256], detail[:256]))


def _rpm_strings(header: bytes) -> dict[int, str]:
    """Return the string tags of an RPM header: counts, index of (tag, type, offset, count), store; big-endian."""
    if len(header) < 8:
        return {}
    entries, _ = struct.unpack_from(">II", header)
    store = 8 + entries * 16
    if store > len(header):
        return {}
    found = {}
    for tag, kind, offset, _count in struct.iter_unpack(">IIII", header[8:store]):
        if tag in (_RPM_NAME, _RPM_VERSION) and kind == _RPM_STRING and store + offset < len(header):
            found[tag] = header[store + offset : store + offset + 256].split(b"\0")[0].decode("utf-8", "replace")
    return found
