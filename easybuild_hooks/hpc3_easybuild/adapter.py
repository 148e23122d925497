"""One parsed easyconfig as one entry of the record: plain JSON values, bounded, without a path of this machine.

The entry's shape is ``$defs/module`` of ``hpc3/data/easybuild_record.schema.json``.
"""

from __future__ import annotations

from typing import Any

from easybuild.framework.easyconfig.easyconfig import ActiveMNS, get_easyblock_class
from easybuild.tools.build_log import EasyBuildError
from easybuild.tools.config import build_option

from .compat import unresolved_templates_allowed
from .materials import extensions_of, parts_of, patches_of, sources_of, text

#: Easyblocks that wrap what the operating system or a vendor installed: nothing is built (easyblocks/generic).
_WRAPPERS = ("SystemCompiler", "SystemCompilerGCC", "SystemMPI", "CrayToolchain")

#: Toolchain options that change what the compiled code needs of a host or does at run time.
_TOOLCHAIN_OPTIONS = ("usempi", "openmp", "optarch", "pic", "lowopt", "noopt", "opt", "strict", "precise", "loose")

_DESCRIPTION_LIMIT = 2048


def module_entry(easyconfig: Any) -> dict[str, Any]:
    """Return what an easyconfig states of the module that it installs.

    Args:
        easyconfig: a parsed ``EasyConfig``, inside or outside of a build.

    Raises:
        EasyBuildError: a parameter that every easyconfig has cannot be resolved.
    """
    with unresolved_templates_allowed(easyconfig):
        toolchain = easyconfig.toolchain
        naming = ActiveMNS()
        easyblock = _easyblock(easyconfig)
        return {
            "module": easyconfig.full_mod_name,
            "short_module": easyconfig.short_mod_name,
            "subdir": easyconfig.mod_subdir,
            "extends": sorted(map(str, naming.det_modpath_extensions(easyconfig))),
            "install_subdir": naming.det_install_subdir(easyconfig),
            "name": text(easyconfig.name),
            "version": text(easyconfig.version),
            "versionsuffix": text(easyconfig["versionsuffix"]),
            "moduleclass": text(easyconfig["moduleclass"]),
            "easyblock": easyblock,
            "wrapper": easyblock in _WRAPPERS,
            "toolchain": _toolchain_entry(toolchain),
            "dependencies": _dependencies(easyconfig),
            "cuda_compute_capabilities": _capabilities(easyconfig, "cuda_compute_capabilities"),
            "amdgcn_capabilities": _capabilities(easyconfig, "amdgcn_capabilities"),
            "homepage": text(easyconfig["homepage"]),
            "description": text(" ".join(str(easyconfig["description"]).split()), _DESCRIPTION_LIMIT),
            "license": _license(easyconfig),
            "sources": sources_of(easyconfig),
            "patches": patches_of(easyconfig),
            "parts": parts_of(easyconfig),
            "extensions": extensions_of(easyconfig, easyblock),
            "osdependencies": _os_dependencies(easyconfig),
            "module_variables": _module_variables(easyconfig),
            "module_paths": _module_paths(easyconfig),
        }


def _easyblock(easyconfig: Any) -> str:
    found = get_easyblock_class(easyconfig.easyblock, name=easyconfig.name, error_on_missing_easyblock=False)
    return found.__name__ if found else ""


def _toolchain_entry(toolchain: Any) -> dict[str, Any]:
    """Return the toolchain: families are EasyBuild's own (``GCC``, ``OpenMPI``), empty for none."""
    options = getattr(toolchain, "options", {})
    system = bool(toolchain.is_system_toolchain())
    definition = {} if system else toolchain.definition()
    return {
        "name": toolchain.name,
        "version": text(toolchain.version),
        "system": system,
        "compiler_family": "" if system else _family(toolchain, "comp_family"),
        "compiler_modules": sorted(definition.get("COMPILER", [])),
        "mpi_family": "" if system else _family(toolchain, "mpi_family"),
        "mpi_modules": sorted(definition.get("MPI", [])),
        "options": {name: _plain(options.get(name)) for name in _TOOLCHAIN_OPTIONS if options.get(name) is not None},
    }


def _family(toolchain: Any, which: str) -> str:
    try:
        return str(getattr(toolchain, which)() or "")
    except (EasyBuildError, NotImplementedError):  # a toolchain that has no such part says so by an error
        return ""


def _plain(value: object) -> bool | str:
    return value if isinstance(value, bool) else text(value)


def _dependencies(easyconfig: Any) -> list[dict[str, Any]]:
    """Return the edges by module name, the toolchain's among them (EasyBuild does not list it)."""
    found: dict[str, dict[str, Any]] = {}
    # Versions over which a build iterates are loaded one at a time by whoever uses the module: they are run-time edges.
    iterated = {dep["full_mod_name"] for deps in getattr(easyconfig, "multi_deps", None) or [] for dep in deps}
    toolchain = [] if easyconfig.toolchain.is_system_toolchain() else [easyconfig.toolchain.as_dict()]
    run: list[Any] = list(toolchain)
    build: list[Any] = []
    for dependency in easyconfig.dependencies():
        only_build = dependency["build_only"] and dependency["full_mod_name"] not in iterated
        (build if only_build else run).append(dependency)
    for type_, dependencies in (("run", run), ("build", build)):
        for dependency in dependencies:
            edge = found.setdefault(_module_of(dependency), {"module": _module_of(dependency), "types": []})
            edge["types"] = sorted({*edge["types"], type_})
            edge["toolchain"] = edge.get("toolchain", False) or any(dependency is item for item in toolchain)
            edge["external"] = _external(dependency)
    return [found[name] for name in sorted(found)]


def _module_of(dependency: Any) -> str:
    return text(dependency.get("full_mod_name") or ActiveMNS().det_full_module_name(dependency))


def _external(dependency: Any) -> dict[str, Any] | None:
    """Return what the site's metadata says of an external module; None for one that EasyBuild installs."""
    if not dependency.get("external_module"):
        return None
    metadata = dependency.get("external_module_metadata") or {}
    names, versions = (metadata.get(key) or [] for key in ("name", "version"))
    versions = [*versions, *[""] * (len(names) - len(versions))]
    provides = [{"name": text(name), "version": text(version)} for name, version in zip(names, versions)]
    return {"prefix": text(metadata.get("prefix") or ""), "provides": provides}


def _capabilities(easyconfig: Any, name: str) -> list[str]:
    """Return the GPU architectures that the build is told; the option goes before the easyconfig, as in EasyBuild."""
    values = build_option(name, default=None) or easyconfig.get(name) or []
    return sorted({text(value) for value in ([values] if isinstance(values, str) else values)})


def _license(easyconfig: Any) -> str:
    """Return the class name of the easyconfig's ``software_license``; empty where it states none."""
    value = easyconfig["software_license"]
    if not value:
        return ""
    return text(value if isinstance(value, str) else type(value).__name__)


def _os_dependencies(easyconfig: Any) -> list[list[str]]:
    """Return what the operating system must have: one list of alternatives for each."""
    needed = easyconfig["osdependencies"] or []
    return [[text(need)] if isinstance(need, str) else [text(name) for name in need] for need in needed]


def _module_variables(easyconfig: Any) -> dict[str, str]:
    """Return the variables that the module sets because the easyconfig says so."""
    found = easyconfig["modextravars"] or {}
    return {
        text(name): text(value["value"] if isinstance(value, dict) else value) for name, value in sorted(found.items())
    }


def _module_paths(easyconfig: Any) -> dict[str, list[str]]:
    """Return the folders below the installation that the module puts in front of a path variable."""
    found: dict[str, list[str]] = {}
    for name, value in sorted((easyconfig["modextrapaths"] or {}).items()):
        value = value.get("contents", []) if isinstance(value, dict) else value
        found[text(name)] = [text(value)] if isinstance(value, str) else [text(item) for item in value]
    return found
