"""From what HPCCM makes of a recipe to facts.

A recipe states what its building blocks install. What it does not state, a shell command, a package or a base image may
bring: that there is no MPI or no GPU runtime is only said of recipes in which nothing of the kind stands.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from hpc3.errors import InputError
from hpc3.facts import (
    Compiler,
    Component,
    Evidence,
    Fact,
    Facts,
    Known,
    Manager,
    OperatingSystem,
    Software,
    Unknown,
)
from hpc3.systems import system_of_image

from .hpccm_answer import Answer, Layer
from .hpccm_blocks import Installed, block_row, installed_by
from .hpccm_communication import fabric_fact, gpu_fact, mpi_fact
from .hpccm_target import target_fact

#: ``CC=mpicc`` in front of configure and cmake: the toolchain that a block was given.
_CC = re.compile(r"(?<=\s)CC=(?:\S*/)?([A-Za-z]+)")


def facts_from_answer(
    answer: Answer,
    recipe: str,
    digest: str,
    picks: Sequence[str] = (),
    documentation: Mapping[str, str] | None = None,
) -> Facts:
    """Return what a recipe states.

    Args:
        answer: what HPCCM makes of it.
        recipe: its file name.
        digest: ``sha256:…`` of its bytes.
        picks: ``NAME`` or ``NAME@VERSION`` of the generic blocks that are the image's software; none: all.
        documentation: texts beside the recipe.

    Raises:
        InputError: a pick is nothing that the recipe builds; two MPIs are in the image.
    """
    installed = installed_by(answer)
    roots = _roots(installed, picks, recipe)
    main = roots[0] if len(roots) == 1 else None
    components = _components(installed, {root.component.id for root in roots})
    mpi = mpi_fact(answer, components, main, recipe)
    return Facts(
        source="hpccm",
        digest=digest,
        manager=Manager("hpccm", answer.hpccm),
        roots=tuple(_software(root) for root in roots),
        software=_main_software(main, roots, recipe),
        target=target_fact(answer, installed, main, recipe),
        mpi=mpi,
        fabric=fabric_fact(answer, components, main, recipe) if isinstance(mpi, Known) else mpi,
        gpu=gpu_fact(answer, components, recipe),
        compiler=_compiler(installed, main, recipe),
        libc=Unknown("an HPCCM recipe does not name the C library: the base image brings it"),
        os=_operating_system(answer, recipe),
        components=components,
        license=Unknown("the recipe has no label org.opencontainers.image.licenses"),
        description=Unknown("the recipe has no label org.opencontainers.image.description"),
        documentation=dict(documentation or {}),
        stated=_stated(answer),
    )


def _roots(installed: Sequence[Installed], picks: Sequence[str], recipe: str) -> tuple[Installed, ...]:
    built = {found.component.id: found for found in installed if found.kind == "generic"}
    if not picks:
        return tuple(built.values())
    picked = []
    for pick in picks:
        named = [found for found in built.values() if pick in (found.component.name, found.component.id)]
        if not named:
            raise InputError(
                f"no generic block builds {pick}; there are {', '.join(sorted(built)) or 'none'}", where=recipe
            )
        picked += named
    return tuple(picked)


def _components(installed: Sequence[Installed], roots: set[str]) -> dict[str, Component]:
    """Return one component per package and version: in the image if one of its layers puts it there."""
    by_id: dict[str, Component] = {}
    for found in sorted(installed, key=lambda found: (found.component.name, found.component.version)):
        component, same = found.component, by_id.get(found.component.id)
        runtime = component.runtime or (same is not None and same.runtime)
        by_id[component.id] = replace(same or component, runtime=runtime, root=component.id in roots)
    return by_id


def _software(root: Installed) -> Software:
    variants = " ".join(f"{name}={_spelled(value)}" for name, value in sorted(root.component.variants.items()))
    return Software(root.component.name, root.component.version, variants)


def _spelled(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value).lower()


def _main_software(main: Installed | None, roots: Sequence[Installed], recipe: str) -> Fact[Software]:
    if main is not None:
        return Known(_software(main), (Evidence(recipe, main.place, main.layer.name),))
    if roots:
        named = ", ".join(sorted(root.component.id for root in roots))
        return Unknown(f"the recipe builds {named}: pick the image's software with --root NAME")
    return Unknown("no generic_cmake, generic_autotools or generic_build of the recipe names what it builds")


def _compiler(installed: Sequence[Installed], main: Installed | None, recipe: str) -> Fact[Compiler]:
    """Return the compiler of the image's software: the block that its toolchain names."""
    if main is None:
        return Unknown("it is not known which block is the image's software")
    compilers = dict(_compilers(installed))
    name, found = compilers.get(_command(installed, main, tuple(compilers)), ("", None))
    if found is None:
        return Unknown(f"no building block is the compiler of {main.place} ({main.component.name})")
    if not found.component.version:
        return Unknown(f"{found.place} ({found.layer.name}) names no version: it is the distribution's {name}")
    evidence = (Evidence(recipe, found.place, "version"), Evidence(recipe, main.place, "toolchain"))
    return Known(Compiler(name, found.component.version), evidence)


def _compilers(installed: Sequence[Installed]) -> Iterator[tuple[str, tuple[str, Installed]]]:
    """Return the compilers' names and blocks by the command that runs them."""
    for found in installed:
        row = block_row(found.layer)
        if row is not None and row["command"]:
            yield row["command"], (row["compiler"], found)


def _command(installed: Sequence[Installed], main: Installed, commands: Sequence[str]) -> str:
    """Return which of the compilers' commands compiles the software; empty where nothing tells."""
    command = _cc(main.layer)
    if command.startswith("mpi"):  # the wrapper runs what the MPI was built with
        wrapped = [found.layer for found in installed if found.layer.name in ("openmpi", "mpich", "mvapich2")]
        command = _cc(wrapped[0]) if len(wrapped) == 1 else ""
    # configure and cmake look for gcc themselves, and for none of the others.
    return command or ("gcc" if tuple(commands) == ("gcc",) else "")


def _cc(layer: Layer) -> str:
    found = _CC.search(layer.text)
    return found.group(1) if found else ""


def _operating_system(answer: Answer, recipe: str) -> Fact[OperatingSystem]:
    image = answer.base_image()
    row = system_of_image(image)
    if row is None:
        return Unknown(f"the name of the base image {image} does not tell its system")
    evidence = Evidence(recipe, f"Stage{answer.image_stages()[-1]}", "baseimage.image")
    return Known(OperatingSystem(row["vendor"], row["version"]), (evidence,))


def _stated(answer: Answer) -> dict[str, str]:
    """Return the labels that the recipe gives the image.

    HPCCM writes them as they are, so they bring their quotes. What a build argument is part of, only the build knows.
    """
    stated: dict[str, str] = {}
    for layer in answer.stages[-1]:
        metadata = layer.attributes.get("metadata")
        if layer.kind == "primitive" and layer.name == "label" and isinstance(metadata, dict):
            values = {name: value for name, value in metadata.items() if isinstance(value, str) and "$" not in value}
            stated.update({name: _unquoted(value) for name, value in values.items()})
    return dict(sorted(stated.items()))


def _unquoted(value: str) -> str:
    try:
        words = shlex.split(value)
    except ValueError:
        return value
    return words[0] if len(words) == 1 else value
