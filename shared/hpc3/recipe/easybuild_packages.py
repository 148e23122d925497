"""Packages of the operating system that an EasyBuild closure needs: OS dependencies, and software it only wraps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hpc3.errors import InputError
from hpc3.request import EasyBuildRequest
from hpc3.tables import Row, rows

from .os_packages import StagePackages


def packages_for(request: EasyBuildRequest, family: str, given: Mapping[str, tuple[str, ...]]) -> StagePackages:
    """Return the packages that stand for OS dependencies and wrapped software.

    Args:
        request: what the record asks for.
        family: family of the image's system (``debian``, ``rhel``).
        given: packages by the name of software or of an OS dependency, as ``--external`` says.

    Raises:
        InputError: something is neither in the table nor given.
    """
    needs: list[tuple[tuple[str, ...], bool]] = [((name,), name in request.wrapped_final) for name in request.wrapped]
    needs += [(alternatives, alternatives in request.os_final) for alternatives in request.os_build]
    build: set[str] = set()
    final: set[str] = set()
    unmapped: list[str] = []
    for alternatives, at_run_time in needs:
        named = _given(alternatives, given)
        row = _row(alternatives, family)
        if named is not None:
            build.update(named)
            final.update(named if at_run_time else ())
        elif row is not None:
            build.update(row["build"])
            final.update(row["final"] if at_run_time else ())
        else:
            unmapped.append(" or ".join(alternatives))
    if unmapped:
        first = unmapped[0].split(" or ")[0]
        raise InputError(
            f"which OS packages give {', '.join(unmapped)} on a system of the family {family!r} is not known",
            where=request.easyconfig,
            remedy=f"say it: --external {first}=PACKAGE[,PACKAGE…], or --external {first}= where the image has it",
        )
    return StagePackages(tuple(sorted(build)), tuple(sorted(final)))


def _given(alternatives: Iterable[str], given: Mapping[str, tuple[str, ...]]) -> tuple[str, ...] | None:
    return next((given[name] for name in alternatives if name in given), None)


def _row(alternatives: tuple[str, ...], family: str) -> Row | None:
    for row in rows("easybuild_os_packages"):
        if row["family"] == family and row["name"] in alternatives:
            return row
    return None


def prerequisites_for(family: str, easyconfig: str) -> Row:
    """Return what EasyBuild and the module command need of a system.

    Raises:
        InputError: the table has no row for the family.
    """
    for row in rows("easybuild_prerequisites"):
        if row["family"] == family:
            return row
    known = ", ".join(sorted(row["family"] for row in rows("easybuild_prerequisites")))
    raise InputError(
        f"how EasyBuild is brought to a system of the family {family!r} is not known",
        where=easyconfig,
        remedy=f"name an image of one of these families with --image: {known}",
    )
