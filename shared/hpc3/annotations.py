"""From facts to annotations: every key that the facts decide, in its grammar, and why each other one is not there.

The rules per key are those of the vocabulary; what two keys say of each other (a GPU's runtime needs an architecture,
``none`` leaves the rest out) is written here once, next to the values.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from .behaviour import BEHAVIOUR
from .errors import InputError
from .facts import Component, Fact, Facts, Gpu, Mpi, Unknown
from .vocabulary import OCI_PREFIX, PREFIX, SCHEMA_VERSION, is_reserved, key, vocabulary

T = TypeVar("T")

#: What only a built image can tell; ``hpc3 apply`` reads it there.
ONLY_THE_IMAGE = (
    OCI_PREFIX + "created",
    OCI_PREFIX + "base.name",
    OCI_PREFIX + "base.digest",
    key("os.vendor"),
    key("os.version"),
    key("os.name"),
    key("os.release"),
    key("system.libc.name"),
    key("system.libc.version"),
)

#: Keys whose ``none`` leaves a namespace out: nothing in it can be stated then.
_NONE_LEAVES_OUT = {
    key("hardware.gpu.vendor"): key("hardware.gpu."),
    key("mpi.implementation"): key("mpi."),
}


@dataclass(frozen=True)
class Annotations:
    """The annotations of an image that is built from a source.

    Attributes:
        values: value by full key, sorted by key.
        missing: why a key is not there, by full key, sorted; only keys that one would expect.
    """

    values: Mapping[str, str]
    missing: Mapping[str, str]

    def labels(self) -> dict[str, str]:
        """Return those that are also written as labels of the image config."""
        table = vocabulary()
        return {name: value for name, value in self.values.items() if name in table and table[name].is_label}


def annotations_for(facts: Facts) -> Annotations:
    """Return the annotations that facts decide.

    Raises:
        InputError: what a person stated is ill-formed, reserved, or contradicts the facts.
    """
    collected = _Collected()
    collected.values.update({key("schema.version"): SCHEMA_VERSION, **BEHAVIOUR})
    if facts.manager.name == "easybuild":  # its images keep the modules, and Lmod to load them with
        collected.values[key("userland.modules")] = "lmod"
    for name in ONLY_THE_IMAGE:
        collected.missing[name] = "only the built image can tell; 'hpc3 apply' fills it in"
    _add_software(facts, collected)
    _add_compiler(facts, collected)
    _add_target(facts, collected)
    _add_gpu(facts, collected)
    _add_mpi(facts, collected)
    _add_fabric(facts, collected)
    _add_documentation(facts, collected)
    _add_stated(facts, collected)
    return collected.checked()


class _Collected:
    """Values and reasons while they are gathered."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.missing: dict[str, str] = {}

    def add(self, name: str, value: str) -> None:
        """Add a value; an empty one is nothing that is known."""
        if value:
            self.values[name if name.startswith(OCI_PREFIX) else key(name)] = value

    def add_list(self, name: str, values: Iterable[str]) -> None:
        """Add a list in the vocabulary's form: sorted, unique, with commas."""
        self.add(name, ",".join(sorted(set(values))))

    def miss(self, reason: str, *names: str) -> None:
        """Say why keys are not there."""
        for name in names:
            self.missing[name if name.startswith(OCI_PREFIX) else key(name)] = reason

    def known(self, fact: Fact[T], *names: str) -> T | None:
        """Return a fact's value, or None and note its reason for the keys that it would have decided."""
        if isinstance(fact, Unknown):
            self.miss(fact.reason, *names)
            return None
        return fact.value

    def checked(self) -> Annotations:
        """Return what was gathered; a derived value that the vocabulary cannot hold is left out, with the reason."""
        table = vocabulary()
        for name in sorted(self.values):
            fault = table[name].fault(self.values[name]) if name in table else ""
            if fault:
                self.missing[name] = f"the value {fault}"
                del self.values[name]
        missing = {name: reason for name, reason in sorted(self.missing.items()) if name not in self.values}
        return Annotations(dict(sorted(self.values.items())), missing)


def _add_software(facts: Facts, to: _Collected) -> None:
    software = to.known(
        facts.software, OCI_PREFIX + "title", OCI_PREFIX + "version", "software.name", "software.version"
    )
    if software:
        to.add(OCI_PREFIX + "title", software.title or software.name)
        to.add(OCI_PREFIX + "version", annotation_version(software.version))
        to.add("software.name", software.name)
        to.add("software.version", annotation_version(software.version))
        to.add("software.variants", software.variants)
    to.add_list("software.packages", (f"{root.name}@{annotation_version(root.version)}" for root in facts.roots))
    versioned = [component for component in facts.runtime().values() if component.version]
    to.add_list("software.dependencies", map(_name_at_version, versioned))
    to.add("software.manager.name", facts.manager.name)
    to.add("software.manager.version", facts.manager.version)
    to.add("software.recipe.digest", facts.digest)
    to.add(OCI_PREFIX + "licenses", to.known(facts.license, OCI_PREFIX + "licenses") or "")
    to.add(OCI_PREFIX + "description", to.known(facts.description, OCI_PREFIX + "description") or "")


def _name_at_version(component: Component) -> str:
    """Return a component in the vocabulary's grammar: lower case, and ``Module::Build`` as ``module-build``."""
    name = re.sub(r"[^a-z0-9._+-]+", "-", component.name.lower()).lstrip("._+-")
    return f"{name}@{annotation_version(component.version)}"


def annotation_version(version: str) -> str:
    """Return a version in the vocabulary's grammar.

    Spack writes a git version as ``git.REF=VERSION``, where VERSION is what the ref counts as; here that becomes
    ``VERSION+git.REF``, the form of a local version, with what the grammar does not allow as ``-``.
    """
    ref, equals, counts_as = version.partition("=")
    return re.sub(r"[^0-9A-Za-z._+~-]", "-", f"{counts_as}+{ref}" if equals else version)


def _add_compiler(facts: Facts, to: _Collected) -> None:
    compiler = to.known(facts.compiler, "compiler.name", "compiler.version")
    if compiler:
        to.add("compiler.name", compiler.name.lower())
        to.add("compiler.version", annotation_version(compiler.version))
        to.add("compiler.toolchain", compiler.toolchain)


def _add_target(facts: Facts, to: _Collected) -> None:
    names = ("hardware.cpu.optimized.mode", "hardware.cpu.optimized.version", "hardware.cpu.features")
    target = to.known(facts.target, *names)
    if target:
        to.add("hardware.cpu.optimized.mode", "generic" if target.generic else "microarch")
        to.add("hardware.cpu.optimized.version", target.name)
        to.add_list("hardware.cpu.features", target.features)


def _add_gpu(facts: Facts, to: _Collected) -> None:
    gpu = to.known(facts.gpu, "hardware.gpu.vendor", "hardware.gpu.runtime", "hardware.gpu.architecture")
    if gpu is None:
        return
    if not gpu.vendors:
        to.add("hardware.gpu.vendor", "none")
        return
    to.add_list("hardware.gpu.vendor", gpu.vendors)
    to.add_list("hardware.gpu.runtime", gpu.runtimes)
    to.add_list("hardware.gpu.architecture", gpu.architectures)
    to.add("hardware.gpu.cuda.version", _dotted(gpu.cuda, 3))
    to.add("hardware.gpu.rocm.version", _dotted(gpu.rocm, 3))
    to.add("hardware.gpu.driver.version", gpu.driver_min)
    to.add("hardware.gpu.driver.mode", gpu.driver_mode)
    _miss_gpu(gpu, to)


def _miss_gpu(gpu: Gpu, to: _Collected) -> None:
    if not gpu.architectures:
        to.miss("no component names the GPU architectures that it was built for", "hardware.gpu.architecture")
    if "nvidia" in gpu.vendors and not gpu.driver_min:
        to.miss(f"the table of CUDA drivers has no row for CUDA {gpu.cuda}", "hardware.gpu.driver.version")


def _dotted(version: str, most: int) -> str:
    """Return the leading numbers of a version, at most ``most`` of them."""
    match = re.match(r"[0-9]+(\.[0-9]+)*", version)
    return ".".join(match.group().split(".")[:most]) if match else ""


def _add_mpi(facts: Facts, to: _Collected) -> None:
    mpi = to.known(facts.mpi, "mpi.implementation", "mpi.version", "mpi.abi.family")
    if mpi is None:
        return
    to.add("mpi.implementation", mpi.implementation)
    to.add("mpi.portability.mode", mpi.portability)
    if mpi.implementation in ("none", "threadmpi"):
        return
    to.add("mpi.version", annotation_version(mpi.version))
    to.add("mpi.abi.family", mpi.abi_family)
    to.add("mpi.abi.version", mpi.abi_version)
    to.add("mpi.library.lookup", mpi.lookup)
    if mpi.pmi is not None:
        to.add("mpi.pmi", ",".join(mpi.pmi) or "none")
    if mpi.gpu_aware is not None:
        to.add("mpi.gpu.aware", ",".join(mpi.gpu_aware) or "none")
    _miss_mpi(mpi, to)


def _miss_mpi(mpi: Mpi, to: _Collected) -> None:
    name = f"{mpi.implementation} {mpi.version}".strip()
    if not mpi.version:
        to.miss("the package that carries the MPI has a version of its own", "mpi.version")
    if not mpi.abi_family:
        to.miss(f"the table of MPI ABIs has no row for {name}", "mpi.abi.family", "mpi.abi.version")
    elif not mpi.abi_version:
        to.miss("only the library's file name tells it", "mpi.abi.version")
    if mpi.pmi is None:
        to.miss(f"the build choices of {name} do not tell which PMI it speaks", "mpi.pmi")
    if not mpi.portability:
        to.miss("how ranks are wired depends on the PMI, which is not known", "mpi.portability.mode")
    to.miss("what a site may swap depends on how the binaries find their libraries", "mpi.portability.optimization")


def _add_fabric(facts: Facts, to: _Collected) -> None:
    fabric = to.known(facts.fabric, "communication.framework")
    if fabric is None:
        return
    if fabric.frameworks is None:
        to.miss("the build choices of the MPI do not tell it", "communication.framework")
    else:
        to.add("communication.framework", ",".join(fabric.frameworks) or "none")
    to.add_list("communication.providers", fabric.providers)
    collectives = (library.partition("@") for library in fabric.collectives)
    to.add_list(
        "communication.collectives", (f"{name}@{annotation_version(version)}" for name, _, version in collectives)
    )
    to.add("libfabric.version", _dotted(fabric.libfabric, 4))
    to.add("ucx.version", _dotted(fabric.ucx, 4))


def _add_documentation(facts: Facts, to: _Collected) -> None:
    for name, text in facts.documentation.items():
        to.add(f"documentation.{name}", base64.b64encode(text.encode("utf-8")).decode("ascii"))


def _add_stated(facts: Facts, to: _Collected) -> None:
    """What a person states fills gaps; OCI's own keys may say it better; the rest must agree with the facts."""
    table = vocabulary()
    for name, value in facts.stated.items():
        if is_reserved(name):
            raise InputError(f"the label {name} steers container runtimes and is never written", where="labels")
        if name not in table and name.startswith(PREFIX):
            raise InputError(f"the vocabulary has no key {name}", where="labels")
        fault = table[name].fault(value) if name in table else ""
        if fault:
            raise InputError(f"the label {name} is ill-formed: {fault}", where="labels")
        derived = to.values.get(name, value)
        if derived != value and name.startswith(PREFIX):
            raise InputError(f"the label {name} states {value!r}, but the source states {derived!r}", where="labels")
        decided = _left_out_by(name, to.values)
        if decided and value != "none":
            raise InputError(
                f"the label {name} states {value!r}, but the source states {decided} {to.values[decided]}",
                where="labels",
            )
        to.values[name] = value


def _left_out_by(name: str, values: Mapping[str, str]) -> str:
    """Return the key whose value leaves ``name`` out; empty where nothing does."""
    for decided, namespace in _NONE_LEAVES_OUT.items():
        if name.startswith(namespace) and name not in values and values.get(decided) in ("none", "threadmpi"):
            return decided
    return ""
