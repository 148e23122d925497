"""Packages of the operating system: how they are installed, and which of them stand for Spack's externals."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hpc3.errors import InputError, UsageError
from hpc3.facts import Component, Facts
from hpc3.request import OsPackages
from hpc3.tables import Row, rows

from .plan import Argument, Run, Shell, Statement

#: Prefixes under which an external is a package of the operating system, not software of a site: where the packages
#: of Debian, RHEL and SUSE install; RHEL's MPIs have folders of their own (``/usr/lib64/openmpi``).
_SYSTEM_PREFIX = re.compile(r"/|/bin|/usr(/bin|/lib(64)?/[^/]+)?")

#: The base image's own C library, which no recipe installs.
_LIBC = frozenset(("glibc", "musl"))

#: hadolint wants versions of packages pinned; distributions keep only the newest, so that a pin breaks the build.
_UNPINNED = {"apt-get": ("DL3008",), "apk": ("DL3018",), "yum": ("DL3033",), "zypper": ("DL3037",), "dnf": ("DL3041",)}

MIRROR_ARGUMENT = Argument(
    "OS_PACKAGE_MIRROR", "", "Mirror of the distribution's packages, for sites without the internet (URL)"
)


@dataclass(frozen=True)
class StagePackages:
    """Packages of the operating system for each stage, sorted."""

    build: tuple[str, ...]
    final: tuple[str, ...]


def map_externals(facts: Facts, family: str, given: Mapping[str, tuple[str, ...]]) -> StagePackages:
    """Return the packages that stand for the externals of a lock.

    Args:
        facts: what the lock states.
        family: family of the image's system (``debian``, ``rhel``).
        given: packages by external, as ``--external`` says; no packages: the image has it already.

    Raises:
        InputError: an external is neither in the table nor given.
        UsageError: one is given that the lock does not have.
    """
    names = sorted({component.name for component in facts.components.values() if component.external is not None})
    for name in given:
        if name not in names:
            listed = ", ".join(names) or "none"
            raise UsageError(f"--external {name}: the lock has no external of that name; its externals: {listed}")
    build: set[str] = set()
    final: set[str] = set()
    unmapped: list[Component] = []
    for component in facts.components.values():
        if component.external is None or component.name in _LIBC:
            continue
        row = _row_for(component, family)
        if component.name in given:
            build.update(given[component.name])
            final.update(given[component.name] if component.runtime else ())
        elif row is not None:
            build.update(row["build"])
            final.update(row["final"] if component.runtime else ())
        else:
            unmapped.append(component)
    if unmapped:
        raise _unmapped(unmapped)
    return StagePackages(tuple(sorted(build)), tuple(sorted(final)))


def _row_for(component: Component, family: str) -> Row | None:
    assert component.external is not None
    if not _SYSTEM_PREFIX.fullmatch(component.external.path.rstrip("/") or "/"):
        return None
    for row in rows("external_packages"):
        if row["package"] == component.name and row["family"] == family:
            return row
    return None


def _unmapped(components: Iterable[Component]) -> InputError:
    named = [f"{c.name}@{c.version} ({c.external.path if c.external else ''})" for c in components]
    first = next(iter(components)).name
    return InputError(
        f"externals are not in an image unless something installs them: {', '.join(named)}",
        where="spack.lock",
        remedy=f"say which OS packages give them: --external {first}=PACKAGE[,PACKAGE…], or --external {first}= "
        "where the base image has it",
    )


def package_manager_for(request: OsPackages, system: Row | None) -> Row:
    """Return the package manager of an image: the one that was asked for, else that of its system.

    Raises:
        InputError: neither is known.
    """
    name = request.command or (system["package_manager"] if system else "")
    for row in rows("package_managers"):
        if name in (row["name"], row["spack_alias"]):
            return row
    raise InputError(
        "the package manager of the images is not known",
        where="spack.yaml: spack.container.os_packages",
        remedy="add os_packages:command",
    )


def install_step(comment: str, manager: Row, packages: Iterable[str], *, update: bool) -> Run | None:
    """Return the step that installs packages, or None where there is nothing to install."""
    names = tuple(sorted(set(packages)))
    if not names:
        return None
    statements: list[Statement] = []
    mirror = manager["mirror"]
    if mirror["options"]:
        setup = f"    {mirror['setup']};\n" if mirror["setup"] else ""
        options = " ".join(f'"{option}"' for option in mirror["options"])
        statements.append(Shell(f'if [ -n "${{OS_PACKAGE_MIRROR}}" ]; then\n{setup}    set -- {options}; fi'))
    if manager["name"] == "apt":
        statements.append(Shell("export DEBIAN_FRONTEND=noninteractive"))
    if update:
        statements.extend(_with_options(command, manager) for command in manager["update"])
    statements.append((*_with_options(manager["install"], manager), *names))
    statements.extend(tuple(_globbed(word) for word in command) for command in manager["clean"])
    arguments = (MIRROR_ARGUMENT.name,) if mirror["options"] else ()
    return Run(comment, tuple(statements), arguments=arguments, lint=_UNPINNED.get(manager["install"][0], ()))


def _with_options(command: list[str], manager: Row) -> tuple[str | Shell, ...]:
    if not manager["mirror"]["options"] or command[0] != manager["install"][0]:
        return tuple(command)
    return (command[0], Shell('"$@"'), *command[1:])


def _globbed(word: str) -> str | Shell:
    return Shell(word) if word.endswith("*") else word


def prerequisites(family: str, purposes: Iterable[str]) -> tuple[str, ...]:
    """Return what a build needs of a system, by the table; purposes are ``spack``, ``compilers``, ``signatures``."""
    wanted = set(purposes)
    return tuple(
        package
        for row in rows("build_prerequisites")
        if row["family"] == family and row["purpose"] in wanted
        for package in row["packages"]
    )
