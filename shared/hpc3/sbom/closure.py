"""What both formats say of the closure: kinds of edges, what only the manager has words for, addresses."""

from __future__ import annotations

import re
from collections.abc import Iterable

from hpc3.errors import InputError
from hpc3.facts import Component, Facts, Known

Property = tuple[str, str]

#: Absolute URI of RFC 3986 with an authority or a path; brackets only around an IP address, percent before two digits.
_URI = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]*://"
    r"(?:[A-Za-z0-9._~!$&'()*+,;=:-]+@)?(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
    r"(?:[/?#](?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?"
)
_URI_LIMIT = 4096
_SHA256 = re.compile(r"[0-9a-f]{64}")


def edges_of(component: Component, facts: Facts) -> dict[str, list[str]]:
    """Return the ids that a component depends on, sorted, by kind of edge: ``runtime``, ``build``, ``test``.

    Every id stands under one kind: what is linked or run is a runtime edge, whatever else it is.

    Raises:
        InputError: it depends on a component that the facts do not hold.
    """
    types: dict[str, tuple[str, ...]] = {}
    for edge in component.dependencies:
        if edge.id not in facts.components:
            raise InputError(f"depends on {edge.id}, which is not there", where=f"components: {component.id}")
        types[edge.id] = types.get(edge.id, ()) + edge.types
    kinds: dict[str, list[str]] = {"runtime": [], "build": [], "test": []}
    for id_ in sorted(types):
        kinds[_kind(types[id_])].append(id_)
    return kinds


def _kind(types: tuple[str, ...]) -> str:
    if "link" in types or "run" in types:
        return "runtime"
    if "build" in types:
        return "build"
    return "test" if "test" in types else "runtime"


def image_name(facts: Facts) -> tuple[str, str]:
    """Return name and version of what the SBOM is about; the version is empty where there are several roots."""
    if isinstance(facts.software, Known):
        return facts.software.value.name, facts.software.value.version
    return "-".join(root.name for root in facts.roots) or "image", ""


def image_properties(facts: Facts) -> list[Property]:
    """Return what is to be said of the whole: where it comes from, and what all components share."""
    manager = facts.manager
    found = [
        ("hpc3:source", facts.source),
        ("hpc3:source:digest", facts.digest),
        (f"{manager.name}:version", manager.version),
        (f"{manager.name}:commit", manager.commit),
        *((f"{manager.name}:{name}", value) for name, value in sorted(shared_values(facts).items())),
    ]
    return [(name, value) for name, value in found if value]


def shared_values(facts: Facts) -> dict[str, str]:
    """Return system and target where all components have the same: then it is said once."""
    systems = {component.os for component in facts.components.values()}
    targets = {component.target for component in facts.components.values()}
    shared = {"os": systems, "target": targets}
    return {name: next(iter(values)) for name, values in shared.items() if len(values) == 1}


def component_properties(component: Component, shared: Iterable[str]) -> list[Property]:
    """Return what the formats have no field for, in a fixed order, a name as often as it has values; none is empty."""
    external, metadata = component.external, component.metadata
    found = [
        ("compiler", component.compiler),
        ("external", external.path or "yes" if external else ""),
        *(("external:module", module) for module in (external.modules if external else ())),
        ("homepage", "" if is_uri(metadata.homepage) else metadata.homepage),
        ("os", "" if "os" in shared else component.os),
        *(("patch", f"sha256:{patch}" if _SHA256.fullmatch(patch) else patch) for patch in component.patches),
        ("source", "" if is_uri(metadata.source_url) else metadata.source_url),
        ("target", "" if "target" in shared else component.target),
        ("variants", _variants(component)),
    ]
    return [(name, value) for name, value in found if value]


def is_uri(text: str) -> bool:
    """Whether a text is an absolute URI, so that it may stand where the formats ask for one."""
    return len(text) <= _URI_LIMIT and _URI.fullmatch(text) is not None


def is_sha256(text: str) -> bool:
    """Whether a text is a SHA-256 in lower-case hex."""
    return _SHA256.fullmatch(text) is not None


def _variants(component: Component) -> str:
    """Return the variants in Spack's syntax: ``+mpi~cuda build_type=Release``; no value, no word."""
    flags, values = [], []
    for name, value in sorted(component.variants.items()):
        if isinstance(value, bool):
            flags.append(f"{'+' if value else '~'}{name}")
        elif isinstance(value, (tuple, list)):
            values.extend([f"{name}={','.join(map(str, value))}"] if value else [])
        elif value not in (None, ""):
            values.append(f"{name}={value}")
    return " ".join(("".join(flags), *values)).strip()
