"""Records of EasyBuild's hooks for tests: a small closure, in which a test changes what it is about."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

from hpc3.sources.easybuild_record import parse_record
from hpc3.sources.easybuild_types import Record

SYSTEM = {
    "name": "system",
    "version": "system",
    "system": True,
    "compiler_family": "",
    "compiler_modules": [],
    "mpi_family": "",
    "mpi_modules": [],
    "options": {},
}
FOSS = {
    "name": "foss",
    "version": "2025b",
    "system": False,
    "compiler_family": "GCC",
    "compiler_modules": ["GCC"],
    "mpi_family": "OpenMPI",
    "mpi_modules": ["OpenMPI"],
    "options": {"usempi": True, "optarch": True},
}


def module(name: str, version: str, *needs: str, **fields: Any) -> dict[str, Any]:
    """Return a module entry; ``needs`` are modules it loads, ``build:…`` those that only its build needs."""
    full = f"{name}/{version}"
    edges = [
        {
            "module": need.removeprefix("build:"),
            "types": ["build" if need.startswith("build:") else "run"],
            "toolchain": False,
            "external": None,
        }
        for need in needs
    ]
    entry = {
        "module": full,
        "short_module": full,
        "subdir": "",
        "extends": [],
        "install_subdir": full,
        "easyconfig": f"{name}-{version}.eb",
        "name": name,
        "version": version,
        "versionsuffix": "",
        "moduleclass": "tools",
        "easyblock": "ConfigureMake",
        "wrapper": False,
        "runtime": True,
        "installed": False,
        "built": None,
        "toolchain": SYSTEM,
        "dependencies": edges,
        "cuda_compute_capabilities": [],
        "amdgcn_capabilities": [],
        "homepage": f"https://example.org/{name.lower()}",
        "description": name,
        "license": "",
        "sources": [{"name": f"{full}.tgz".replace("/", "-"), "urls": [], "sha256": "0" * 64}],
        "patches": [],
        "parts": [],
        "extensions": [],
        "osdependencies": [],
        "module_variables": {},
        "module_paths": {},
    }
    return {**entry, **fields}


MODULES = [
    module("App", "1.0", "foss/2025b", "OpenMPI/5.0.8", "GCC/14.3.0", "build:CMake/3.31", toolchain=FOSS),
    module("CMake", "3.31", runtime=False),
    module("GCC", "14.3.0"),
    module("OpenMPI", "5.0.8", "GCC/14.3.0", "UCX/1.19.0", "PMIx/5.0.8", toolchain={**FOSS, "mpi_modules": []}),
    module("PMIx", "5.0.8"),
    module("UCX", "1.19.0", osdependencies=[["libibverbs-dev", "rdma-core-devel"]]),
    module("foss", "2025b", "GCC/14.3.0", "OpenMPI/5.0.8", sources=[], easyblock="Toolchain"),
]


def record_document(
    modules: list[dict[str, Any]] | None = None, *, optarch: Any = "GENERIC", **fields: Any
) -> dict[str, Any]:
    """Return a planned record of ``App/1.0``, or of the given modules of which the first is asked for."""
    entries = copy.deepcopy(MODULES if modules is None else modules)
    document: dict[str, Any] = {
        "format": "hpc3-easybuild-record",
        "version": 1,
        "easybuild": {"version": "5.4.1", "framework": "5.4.1", "easyblocks": "5.4.1"},
        "session": {
            "optarch": optarch,
            "naming_scheme": "EasyBuildMNS",
            "options": {},
            "host": {"family": "x86_64", "target": "zen3", "os": "debian", "os_version": "12"},
        },
        "requested": [entries[0]["module"]],
        "modules": entries,
        "load": {"paths": [""], "modules": [entries[0]["module"]]},
        "files": [],
        "state": "planned",
        "environment": None,
    }
    return {**document, **fields}


def changed(name: str, **fields: Any) -> list[dict[str, Any]]:
    """Return the modules of ``App/1.0`` with fields of one changed."""
    return [{**entry, **fields} if entry["name"] == name else entry for entry in MODULES]


def record(document: Mapping[str, Any] | None = None) -> Record:
    """Return a checked record."""
    return parse_record(json.dumps(document or record_document()).encode("ascii"))
