"""Which GPUs the software of a lock was built for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hpc3.facts import Component, Evidence, Fact, Gpu, Known, Unknown
from hpc3.tables import Row, rows
from hpc3.versions import version_numbers

#: Variant that names the architectures, by the variant that switches the runtime on, and how a value is spelled:
#: Spack's CudaPackage and ROCmPackage build systems.
_ARCHITECTURES = {"cuda": ("cuda_arch", "sm_{}"), "rocm": ("amdgpu_target", "{}")}


def gpu_fact(components: Mapping[str, Component], document: str) -> Fact[Gpu]:
    """Return the GPUs of the runtime closure: its runtimes and the architectures that its variants name."""
    runtime = [component for component in components.values() if component.runtime]
    found = [(row, component) for component in runtime for row in _rows_of(component)]
    if not found:
        return Known(Gpu(vendors=()), (Evidence(document, "", "roots: no GPU runtime in the closure"),))
    cuda, rocm = (_versions(found, name) for name in ("cuda", "rocm"))
    for name, versions in (("CUDA", cuda), ("ROCm", rocm)):
        if len(versions) > 1:
            return Unknown(f"the closure holds {name} {' and '.join(versions)}")
    modes = {row["driver_mode"] for row, _ in found if row["driver_mode"]}
    return Known(
        Gpu(
            vendors=tuple(sorted({row["vendor"] for row, _ in found})),
            runtimes=tuple(sorted({row["runtime"] for row, _ in found})),
            architectures=_architectures(runtime),
            cuda="".join(cuda),
            rocm="".join(rocm),
            driver_min=least_driver(cuda[0]) if cuda else "",
            driver_mode=modes.pop() if len(modes) == 1 else "",
        ),
        tuple(Evidence(document, component.id, "version") for _, component in found)
        + tuple(Evidence(document, c.id, "parameters") for c in runtime if _architectures([c])),
    )


def least_driver(cuda: str) -> str:
    """Return the least NVIDIA driver version for a CUDA toolkit, by the table; empty where it has no row.

    It is the driver of CUDA's minor version compatibility: what a program without PTX needs.
    """
    major = cuda.split(".")[0]
    for row in rows("cuda_drivers"):
        if row["kind"] == "minor-version-compatibility" and row["cuda"] == major:
            return str(row["driver_min"])
    return ""


def _rows_of(component: Component) -> Iterable[Row]:
    return (
        row
        for row in rows("gpu_runtimes")
        if row["manager"] == "spack"
        and row["package"] == component.name
        and (not row["variant"] or component.variants.get(row["variant"]) is not False)
    )


def _versions(found: list[tuple[Row, Component]], what: str) -> list[str]:
    versions = {component.version for row, component in found if row["version_of"] == what}
    return sorted(sorted(versions), key=version_numbers)


def _architectures(components: Iterable[Component]) -> tuple[str, ...]:
    found: set[str] = set()
    for component in components:
        for switch, (variant, spelling) in _ARCHITECTURES.items():
            values = component.variants.get(variant, ())
            if component.external is None and component.variants.get(switch) is True and isinstance(values, tuple):
                found.update(spelling.format(value) for value in values if value != "none")
    return tuple(sorted(found))
