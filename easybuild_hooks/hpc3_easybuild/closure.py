"""From requested easyconfigs to the record of their whole closure; the only other module that asks EasyBuild.

The closure is walked over easyconfigs that EasyBuild has parsed already wherever it has, because
``resolve_dependencies`` empties the dependency lists of what it is given and lists every installed module first.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from easybuild.framework.easyconfig.easyconfig import ActiveMNS, process_easyconfig, robot_find_easyconfig
from easybuild.tools.build_log import EasyBuildError
from easybuild.tools.config import build_option, get_module_naming_scheme, install_path
from easybuild.tools.module_naming_scheme.utilities import det_full_ec_version
from easybuild.tools.systemtools import get_cpu_architecture

from .adapter import module_entry
from .built import built_for
from .compat import easybuild_versions, unquoted
from .environment import module_environment
from .local_files import LocalFile, digest, find_local_files
from .materials import text

FORMAT = "hpc3-easybuild-record"
FORMAT_VERSION = 1

#: Options that change what is built or how its modules are named; anything else of a session stays out of the record.
_OPTIONS = (
    "accept-eula-for",
    "add-system-to-minimal-toolchains",
    "consider-archived-easyconfigs",
    "default-opt-level",
    "filter-deps",
    "fixed-installdir-naming-scheme",
    "hide-deps",
    "hide-toolchains",
    "keep-debug-symbols",
    "lib-lib64-symlink",
    "lib64-lib-symlink",
    "minimal-toolchains",
    "module-naming-scheme",
    "module-search-path-headers",
    "module-syntax",
    "mpi-tests",
    "prefer-python-search-path",
    "rpath",
    "search-path-cpp-headers",
    "search-path-linker",
    "skip-extensions",
    "skip-test-step",
    "suffix-modules-path",
    "amdgcn-capabilities",
    "cuda-compute-capabilities",
)


@dataclass(frozen=True)
class Planned:
    """What is known before anything is built.

    Attributes:
        record: the record of a requested easyconfig and its whole closure.
        files: the site's files that an image build needs.
    """

    record: Mapping[str, Any]
    files: tuple[LocalFile, ...]


def plan_of(easyconfig: Any, known: Mapping[str, Any]) -> Planned:
    """Return the plan of a requested easyconfig and its whole closure.

    Args:
        easyconfig: the parsed ``EasyConfig`` that was asked for.
        known: parsed easyconfigs by full module name, so that they are not parsed again.

    Raises:
        EasyBuildError: an easyconfig of the closure does not parse, or is not found.
    """
    parsed = closure_of([easyconfig], known)
    entries = {name: module_entry(parsed[name]) for name in sorted(parsed)}
    runtime = runtime_modules(entries, [easyconfig.full_mod_name])
    for name, entry in entries.items():
        entry["easyconfig"] = text(Path(parsed[name].path).name)
        entry["runtime"] = name in runtime
    files = find_local_files(parsed)
    record = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "easybuild": easybuild_versions(),
        "session": session_entry(),
        "requested": [easyconfig.full_mod_name],
        "modules": list(entries.values()),
        "load": load_chain(easyconfig, entries),
        "files": [{"place": file.place, "sha256": digest(file)} for file in files],
    }
    return Planned(record, tuple(files))


def completed(planned: Planned) -> dict[str, Any]:
    """Return the record with what is installed by now, and the environment where all of the runtime closure is.

    Raises:
        EasyBuildError: a module that is installed does not load.
    """
    record = dict(planned.record)
    record["modules"] = [
        {**entry, "installed": installed, "built": built_for(entry) if installed else None}
        for entry, installed in ((entry, is_installed(entry)) for entry in record["modules"])
    ]
    installed = all(entry["installed"] for entry in record["modules"] if entry["runtime"])
    record["state"] = "installed" if installed else "planned"
    record["environment"] = module_environment(record["load"]) if installed else None
    return record


def installation_record(easyconfig: Any) -> dict[str, Any]:
    """Return what is kept beside an installation: the entry of its module and the session that built it."""
    return {
        "format": f"{FORMAT}-installation",
        "version": FORMAT_VERSION,
        "easybuild": easybuild_versions(),
        "session": session_entry(),
        "module": module_entry(easyconfig),
    }


def closure_of(easyconfigs: Iterable[Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parsed easyconfigs of the whole closure, build dependencies too, by full module name.

    Raises:
        EasyBuildError: an easyconfig of the closure does not parse; one is found nowhere on the robot search path.
    """
    found: dict[str, Any] = {}
    todo = list(easyconfigs)
    while todo:
        easyconfig = todo.pop()
        if easyconfig.full_mod_name in found:
            continue
        found[easyconfig.full_mod_name] = easyconfig
        todo += [_parsed(dependency, easyconfig, known) for dependency in _needed(easyconfig)]
    return found


def needed_modules(easyconfigs: Iterable[Any]) -> set[str]:
    """Return the full names of the modules that easyconfigs need directly, toolchains among them."""
    return {_module_name(dependency) for easyconfig in easyconfigs for dependency in _needed(easyconfig)}


def _needed(easyconfig: Any) -> list[Any]:
    dependencies = [dep for dep in easyconfig.dependencies() if not dep.get("external_module")]
    if not easyconfig.toolchain.is_system_toolchain():
        dependencies.append(easyconfig.toolchain.as_dict())
    return dependencies


def _module_name(dependency: Any) -> str:
    return str(dependency.get("full_mod_name") or ActiveMNS().det_full_module_name(dependency))


def _parsed(dependency: Any, parent: Any, known: Mapping[str, Any]) -> Any:
    name = _module_name(dependency)
    if name in known:
        return known[name]
    version = det_full_ec_version(dependency)
    path = robot_find_easyconfig(dependency["name"], version)
    if path is None:
        raise EasyBuildError(
            "%s: no easyconfig is found for its dependency %s-%s", Path(parent.path).name, dependency["name"], version
        )
    return process_easyconfig(path, validate=False, hidden=dependency.get("hidden"))[0]["ec"]


def runtime_modules(entries: Mapping[str, Mapping[str, Any]], roots: Iterable[str]) -> set[str]:
    """Return the modules that ``module load`` of the roots loads: run edges, toolchains among them."""
    found: set[str] = set()
    todo = list(roots)
    while todo:
        name = todo.pop()
        if name in entries and name not in found:
            found.add(name)
            todo += [edge["module"] for edge in entries[name]["dependencies"] if "run" in edge["types"]]
    return found


def load_chain(easyconfig: Any, entries: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return how the module is loaded: ``paths`` to use (below the modules' folder), then ``modules`` in order.

    In a hierarchical naming scheme a module becomes visible when the one that extends the path to it is loaded.
    """
    initial = [str(path) for path in ActiveMNS().det_init_modulepaths(easyconfig)]
    chain = [easyconfig.short_mod_name]
    subdir, seen = easyconfig.mod_subdir, set()
    while subdir and subdir not in initial and subdir not in seen:
        seen.add(subdir)
        above = next((entry for _, entry in sorted(entries.items()) if subdir in entry["extends"]), None)
        if above is None:
            break
        chain.insert(0, above["short_module"])
        subdir = above["subdir"]
    return {"paths": sorted(initial) or [""], "modules": chain}


def is_installed(entry: Mapping[str, Any]) -> bool:
    """Whether the module file exists where this session would write it."""
    folder = Path(install_path("mod")) / str(build_option("suffix_modules_path") or "") / entry["subdir"]
    return any((folder / f"{entry['short_module']}{suffix}").is_file() for suffix in (".lua", ""))


def session_entry() -> dict[str, Any]:
    """Return the options of this session that decide what is built, and what it would be built on."""
    optarch = build_option("optarch")
    return {
        "optarch": {text(k): text(v) for k, v in optarch.items()} if isinstance(optarch, Mapping) else optarch or "",
        "naming_scheme": str(get_module_naming_scheme()),
        "options": session_options(build_option("command_line") or []),
        "host": {"family": str(get_cpu_architecture()), "target": host_target(), **host_system()},
    }


def session_options(command_line: Sequence[str]) -> dict[str, str]:
    """Return the options that are kept, of EasyBuild's command line of everything that is not its default.

    A switch has an empty value; ``disable-x`` keeps its name.
    """
    found = {}
    for argument in command_line:
        name, _, value = argument.removeprefix("--").partition("=")
        if argument.startswith("--") and name.removeprefix("disable-") in _OPTIONS:
            found[name] = text(unquoted(value))
    return dict(sorted(found.items()))


def host_target() -> str:
    """Return archspec's name of this host, for which ``-march=native`` builds; empty where archspec is missing."""
    try:
        import archspec.cpu
    except ImportError:
        return ""
    return str(archspec.cpu.host().name)


def host_system() -> dict[str, str]:
    """Return ``os`` and ``os_version`` of os-release; empty where there is none."""
    try:
        release = Path("/etc/os-release").read_text("utf-8")
    except OSError:
        return {"os": "", "os_version": ""}
    # The file is a list of shell assignments: https://www.freedesktop.org/software/systemd/man/os-release.html
    found = dict(word.split("=", 1) for word in shlex.split(release, comments=True) if "=" in word)
    return {"os": text(found.get("ID", "")), "os_version": text(found.get("VERSION_ID", ""))}
