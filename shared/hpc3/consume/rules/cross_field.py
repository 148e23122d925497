"""Rules over several keys: what one value demands of, or forbids to, another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hpc3.consume.finding import Finding, finding
from hpc3.consume.subject import Subject
from hpc3.targets import family, is_generic, known_targets
from hpc3.vocabulary import OCI_PREFIX, PREFIX, vocabulary

#: OCI (Go) architecture by archspec family.
_ARCHITECTURES = {"aarch64": "arm64", "ppc64le": "ppc64le", "riscv64": "riscv64", "x86_64": "amd64", "x86": "386"}
_ABI_FAMILIES = {
    "cray-mpich": ("mpich", "mpi-abi"),
    "intel-mpi": ("mpich", "mpi-abi"),
    "mpich": ("mpich", "mpi-abi"),
    "mvapich": ("mpich", "mpi-abi"),
    "openmpi": ("openmpi", "mpi-abi"),
}
_RUNTIME_VENDORS = {"cuda": "nvidia", "level-zero": "intel", "rocm": "amd"}
_ARCHITECTURE_VENDORS = {"gfx": "amd", "intel_gpu": "intel", "sm_": "nvidia"}
_WITHOUT_MPI = ("none", "threadmpi")


def check_cross_field(subject: Subject) -> Iterator[Finding]:
    """Yield contradictions between, and absences that follow from, the values stated."""
    # A key that is not in the vocabulary demands nothing: a misspelt one is told as such.
    stated = subject.stated()
    values = {name.removeprefix(PREFIX): stated[name] for name in stated if name in vocabulary()}
    yield from _cpu(subject, values)
    yield from _gpu(subject, values)
    yield from _gpu_vendors(subject, values)
    yield from _mpi(subject, values)
    yield from _portability(subject, values)
    yield from _system(subject, values)
    yield from _pairs(subject, values)


def _where(subject: Subject, name: str) -> str:
    return subject.place(PREFIX + name)


def _cpu(subject: Subject, values: Mapping[str, str]) -> Iterator[Finding]:
    target = values.get("hardware.cpu.optimized.version", "")
    mode = values.get("hardware.cpu.optimized.mode", "")
    if target not in known_targets():
        return
    where = _where(subject, "hardware.cpu.optimized.version")
    generic = is_generic(target)
    if (mode == "generic" and not generic) or (mode == "microarch" and generic):
        kind = "generic" if generic else "a named microarchitecture"
        yield finding("HPC301", where, mode=mode, target=target, kind=kind)
    architecture = subject.platform.get("architecture", "")
    expected = _ARCHITECTURES.get(family(target), "")
    # Of an architecture that no family here has, nothing is known; archspec's spelling or capitals are just misspelt.
    is_known = architecture.lower() in {*_ARCHITECTURES, *_ARCHITECTURES.values()}
    if expected and is_known and expected != architecture:
        yield finding("HPC302", where, target=target, expected=expected, architecture=architecture)


def _gpu(subject: Subject, values: Mapping[str, str]) -> Iterator[Finding]:
    vendor = values.get("hardware.gpu.vendor", "")
    runtimes = _items(values.get("hardware.gpu.runtime", ""))
    if vendor == "none":
        for name in sorted(values):
            if name.startswith("hardware.gpu.") and name != "hardware.gpu.vendor":
                yield finding("HPC303", _where(subject, name), key=PREFIX + name)
        return
    for name in ("hardware.gpu.runtime", "hardware.gpu.architecture") if vendor else ():
        if name not in values:
            yield finding("HPC304", subject.name, vendor=vendor, key=PREFIX + name)
    for runtime in ("cuda", "rocm"):
        name = f"hardware.gpu.{runtime}.version"
        if runtime in runtimes and name not in values:
            yield finding("HPC306", subject.name, runtime=runtime, key=PREFIX + name)
        elif name in values and runtimes and runtime not in runtimes:
            yield finding("HPC305", _where(subject, name), runtime=runtime, key=PREFIX + name)
    if "nvidia" in _items(vendor) and "hardware.gpu.driver.version" not in values:
        yield finding("HPC307", subject.name)


def _gpu_vendors(subject: Subject, values: Mapping[str, str]) -> Iterator[Finding]:
    vendors = _items(values.get("hardware.gpu.vendor", ""))
    if not vendors or "none" in vendors:
        return
    for field, owners in (("runtime", _RUNTIME_VENDORS), ("architecture", _ARCHITECTURE_VENDORS)):
        name = f"hardware.gpu.{field}"
        for item in _items(values.get(name, "")):
            owner = next((vendor for stem, vendor in owners.items() if item.startswith(stem)), "")
            if owner and owner not in vendors:
                stated = ", ".join(vendors)
                yield finding("HPC316", _where(subject, name), field=field, value=item, vendor=stated)


def _mpi(subject: Subject, values: Mapping[str, str]) -> Iterator[Finding]:
    implementation = values.get("mpi.implementation", "")
    if implementation in _WITHOUT_MPI:
        names = [n for n in values if n.startswith("mpi.") and n != "mpi.implementation"]
        for name in sorted((*names, "communication.framework")):
            if values.get(name, "none") != "none":
                yield finding(
                    "HPC308",
                    _where(subject, name),
                    implementation=implementation,
                    key=PREFIX + name,
                    value=values[name],
                )
        return
    if not implementation:
        return
    for name in ("mpi.version", "mpi.abi.family", "mpi.abi.version", "mpi.pmi", "mpi.portability.mode"):
        if name not in values and not (name == "mpi.abi.version" and values.get("mpi.abi.family") == "none"):
            yield finding("HPC309", subject.name, implementation=implementation, key=PREFIX + name)
    if "communication.framework" not in values:
        yield finding("HPC317", subject.name)
    allowed = _ABI_FAMILIES.get(implementation)
    stated = values.get("mpi.abi.family", "")
    if allowed and stated and stated not in allowed:
        where = _where(subject, "mpi.abi.family")
        yield finding("HPC310", where, implementation=implementation, expected=allowed[0], value=stated)
    version = values.get("mpi.version", "").split(".")[0]
    old = [item for item in _items(values.get("mpi.pmi", "")) if item in ("pmi1", "pmi2")]
    if implementation == "openmpi" and version.isdigit() and int(version[:9]) >= 5 and old:
        yield finding("HPC321", _where(subject, "mpi.pmi"), version=values["mpi.version"], value=",".join(old))


def _portability(subject: Subject, values: Mapping[str, str]) -> Iterator[Finding]:
    mode = values.get("mpi.portability.mode", "")
    where = _where(subject, "mpi.portability.mode")
    if mode == "replace":
        for name in ("mpi.abi.family", "mpi.abi.version"):
            if values.get(name, "none") == "none":
                yield finding("HPC311", where, mode=mode, key=PREFIX + name, value=values.get(name, "missing"))
        lookup = values.get("mpi.library.lookup", "")
        if lookup in ("rpath", "static"):
            yield finding("HPC319", _where(subject, "mpi.library.lookup"), value=lookup)
    swaps = _items(values.get("mpi.portability.optimization", ""))
    if "mpi-replace" in swaps and mode not in ("bind", "replace"):
        yield finding("HPC312", _where(subject, "mpi.portability.optimization"), mode=mode or "missing")


def _system(subject: Subject, values: Mapping[str, str]) -> Iterator[Finding]:
    if values.get("userland.entrypoint") == "app":
        yield finding("HPC313", _where(subject, "userland.entrypoint"))
    libc = values.get("system.libc.name", "none")
    # A Dockerfile may leave what the base image decides to the built image.
    if libc != "none" and "system.libc.version" not in values:
        yield finding("HPC314", subject.name, value=libc)
    vendor = values.get("os.vendor", "none")
    if vendor != "none" and "os.version" not in values:
        yield finding("HPC315", subject.name, value=vendor)


def _pairs(subject: Subject, values: Mapping[str, str]) -> Iterator[Finding]:
    version, other = values.get(OCI_PREFIX + "version", ""), values.get("software.version", "")
    if version and other and version != other:
        yield finding("HPC318", subject.place(OCI_PREFIX + "version"), value=version, other=other)
    for name, needed in (
        ("compiler.name", "compiler.version"),
        ("compiler.version", "compiler.name"),
        ("sbom.digest", "sbom.mediatype"),
        ("sbom.mediatype", "sbom.digest"),
        (OCI_PREFIX + "base.digest", OCI_PREFIX + "base.name"),
    ):
        if name in values and needed not in values:
            full = [n if n.startswith(OCI_PREFIX) else PREFIX + n for n in (name, needed)]
            yield finding("HPC320", subject.place(full[0]), key=full[0], other=full[1])


def _items(value: str) -> list[str]:
    return [item for item in value.split(",") if item]
