"""Which MPI, fabrics and GPUs a recipe's software has; and whether it can be said that it has none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hpc3.facts import Component, Evidence, Fabric, Fact, Gpu, Mpi, Unknown
from hpc3.systems import plain_image_name
from hpc3.tables import rows

from . import spack_communication, spack_gpu
from .hpccm_answer import Answer, Layer
from .hpccm_blocks import Installed, base_image_rows, block_row
from .spack_communication import Provider, mpi_provider

#: Primitives that install nothing.
_HARMLESS = frozenset(("comment", "environment", "label", "runscript", "user", "workdir"))

#: Packages that have a GPU's runtime inside, or are of no use without one.
_OF_GPUS = frozenset(("amgx", "gdrcopy", "magma", "mvapich2-gdr", "nccl", "nvhpc", "nvshmem", "pgi"))


def mpi_fact(answer: Answer, components: Mapping[str, Component], main: Installed | None, recipe: str) -> Fact[Mpi]:
    """Return the MPI that the image's software links.

    Raises:
        InputError: two MPIs are in the image.
    """
    provider = _provider(answer, components, main, recipe)
    if provider is None and not _runs_threads(main):
        unclear = _unclear("an MPI", answer, _left_behind(components, _mpi_packages()))
        if unclear:
            return Unknown(unclear)
    return spack_communication.mpi_fact(provider, components, recipe)


def fabric_fact(
    answer: Answer, components: Mapping[str, Component], main: Installed | None, recipe: str
) -> Fact[Fabric]:
    """Return over what the ranks talk, as far as options of the MPI's block decide it; the MPI must be known."""
    return spack_communication.fabric_fact(_provider(answer, components, main, recipe), components, recipe)


def gpu_fact(answer: Answer, components: Mapping[str, Component], recipe: str) -> Fact[Gpu]:
    """Return the GPUs that the image's software was built for."""
    found = spack_gpu.gpu_fact(components, recipe)
    if isinstance(found, Unknown) or found.value.vendors:
        return found
    runtimes = {row["package"] for row in rows("gpu_runtimes")} | _OF_GPUS
    in_image = [component.id for component in components.values() if component.runtime and component.name in runtimes]
    if in_image:
        return Unknown(f"{in_image[0]} is for GPUs, and nothing tells which runtime the software uses")
    unclear = _unclear("a GPU runtime", answer, _left_behind(components, runtimes))
    return Unknown(unclear) if unclear else found


def _provider(
    answer: Answer, components: Mapping[str, Component], main: Installed | None, recipe: str
) -> Provider | None:
    """Return what provides MPI: a block, else a package of the operating system; None where nothing does."""
    if _runs_threads(main):
        return None
    return mpi_provider(components, recipe) or _provider_of_system(answer, recipe)


def _runs_threads(main: Installed | None) -> bool:
    """Whether the software runs ranks as threads where it is built without MPI, and is built without."""
    of_threads = {row["package"] for row in rows("thread_mpi") if row["manager"] == "spack"}
    return main is not None and main.component.name in of_threads and main.component.variants.get("mpi") is not True


def _provider_of_system(answer: Answer, recipe: str) -> Provider | None:
    mpis = _mpi_packages()
    for row in rows("external_packages"):
        for position, layer in enumerate(answer.stages[-1]):
            named = {*row["build"], *row["final"]} & set(os_packages(layer))
            if row["package"] in mpis and named:
                evidence = Evidence(recipe, f"Stage{len(answer.stages) - 1}[{position}]", sorted(named)[0])
                return Provider(Component(row["package"], row["package"], "", runtime=True), evidence)
    return None


def _mpi_packages() -> set[str]:
    return {row["package"] for row in rows("mpi_packages") if row["manager"] == "spack" and row["version_is_mpi"]}


def _left_behind(components: Mapping[str, Component], packages: set[str]) -> str:
    """Return a component of an earlier stage that the image does not get as a whole; empty: there is none."""
    return next((c.id for c in components.values() if c.name in packages and not c.runtime), "")


def _unclear(what: str, answer: Answer, left_behind: str) -> str:
    """Return why it cannot be said that something is not there; empty: it is not there."""
    if left_behind:
        return f"{left_behind} is in an earlier stage, and what the image gets of it is not known"
    for number, stage in enumerate(answer.stages):
        for position, layer in enumerate(stage):
            culprit = next(_open_parts(layer), "")
            if culprit:
                return f"{culprit} of Stage{number}[{position}] may bring {what}"
    return ""


def _open_parts(layer: Layer) -> Iterator[str]:
    """Return what of a layer may install what nobody named."""
    row = block_row(layer)
    if layer.kind == "primitive" and layer.name == "baseimage":
        if not _is_bare(layer.word("image")):
            yield f"the base image {layer.word('image')}"
    elif layer.kind == "primitive" and layer.name == "copy":
        if not layer.word("from"):
            yield "copy"
    elif layer.kind == "block" and row is not None and row["kind"] != "open":
        known = {name for entry in rows("external_packages") for name in (*entry["build"], *entry["final"])}
        yield from (f"the package {name}" for name in os_packages(layer) if name not in known)
    elif layer.kind != "runtime" and layer.name not in _HARMLESS and layer.text:
        yield layer.name


def _is_bare(image: str) -> bool:
    """Whether an image is a plain system of the table, or one with a known GPU runtime."""
    plain = {plain_image_name(name) for row in rows("operating_systems") for name in (row["image"], *row["images"])}
    return plain_image_name(image) in plain or any(base_image_rows(image))


def os_packages(layer: Layer) -> tuple[str, ...]:
    """Return the packages of the operating system that a block is asked for by name."""
    row = block_row(layer)
    return layer.words("apt", "ospackages", "yum") if row and row["kind"] == "os-packages" else ()
