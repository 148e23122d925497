"""compspec: a compatibility artifact, and the graph of the attributes that may be in it.

compspec matches attributes exactly and knows no lists: a list stays one value. Its schema wants ``schema`` on every
item while its program reads ``metadata.schemas``: both are written.
"""

from __future__ import annotations

import json
from typing import Any

from hpc3.targets import family, known_targets
from hpc3.vocabulary import OCI_PREFIX, PREFIX, SCHEMA_VERSION, vocabulary

from ..facets.cpu import canonical_target
from ..image import Image

MEDIA_TYPE = "application/org.supercontainers.compspec"
ARCHSPEC = "io.archspec"
_PUBLISHED = "https://raw.githubusercontent.com/compspec/schemas"
#: Where readers fetch the graphs. That of our attributes was taken out of compspec's main branch: this is its last
#: state, which knows less than ours (``data/compspec_graph.json``); who publishes that one names the place.
ARCHSPEC_URL = f"{_PUBLISHED}/70b23a1c75d05f0061f4f8ee26968bb4f63240ab/archspec/compspec.json"
GRAPH_URL = f"{_PUBLISHED}/2906f7ade005286b5178bda1bfe5e7d4823901f3/supercontainers/compspec.json"

_NAMESPACE = PREFIX.rstrip(".")
#: Attributes of the published graph that follow from ours, for images that are matched by the older names.
_ALIASES = ("hardware.gpu.available", "hardware.gpu.enabled")


def compspec_artifact(image: Image, graph_url: str = GRAPH_URL) -> str:
    """Return the compatibility specification of an image as JSON.

    Args:
        image: what it states; documentation, which is text for people, is left out.
        graph_url: where the graph of our attributes is published.
    """
    items = [(_NAMESPACE, SCHEMA_VERSION, graph_url, _attributes(image))]
    target = canonical_target(image.value("hardware.cpu.optimized.version"))
    if target:
        attributes = {
            "cpu.family": family(target),
            "cpu.target": target,
            "cpu.vendor": str(known_targets()[target].vendor),
        }
        items.append((ARCHSPEC, "0.0.0", ARCHSPEC_URL, attributes))
    document = {
        "version": "0.0.0",
        "kind": "CompatibilitySpec",
        "metadata": {"name": image.title, "schemas": {name: url for name, _, url, _ in sorted(items)}},
        "compatibilities": [
            {"name": name, "version": version, "schema": url, "attributes": attributes}
            for name, version, url, attributes in sorted(items)
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def compspec_graph() -> str:
    """Return the graph of our attributes (JSON Graph Format 2): a node per dotted prefix, no edge into nothing."""
    labels = {name: vocabulary()[PREFIX + name].meaning for name in attribute_names() if PREFIX + name in vocabulary()}
    nodes = sorted({prefix for name in attribute_names() for prefix in _prefixes(name)})
    edges = [
        {"source": node.rpartition(".")[0], "target": node, "relation": "contains"} for node in nodes if "." in node
    ]
    graph: dict[str, Any] = {
        "id": _NAMESPACE,
        "type": "compspec",
        "label": "compatibilities",
        "nodes": {node: {"label": labels.get(node) or node} for node in nodes},
        "edges": edges,
        "metadata": {"version": SCHEMA_VERSION},
    }
    return json.dumps({"graph": graph}, indent=2, ensure_ascii=False) + "\n"


def attribute_names() -> tuple[str, ...]:
    """Return the names of our attributes, without the prefix, sorted."""
    ours = (
        name[len(PREFIX) :] for name, known in vocabulary().items() if name.startswith(PREFIX) and _is_fact(known.group)
    )
    return tuple(sorted((*ours, *_ALIASES)))


def _attributes(image: Image) -> dict[str, str]:
    known = set(attribute_names())
    stated = {name[len(PREFIX) :]: s.value for name, s in image.statements.items() if not name.startswith(OCI_PREFIX)}
    attributes = {name: value for name, value in stated.items() if name in known}
    vendor = image.value("hardware.gpu.vendor")
    if vendor:
        answer = "no" if vendor == "none" else "yes"
        attributes.update(dict.fromkeys(_ALIASES, answer))
    return dict(sorted(attributes.items()))


def _is_fact(group: str) -> bool:
    return group not in ("documentation", "meta", "sbom")


def _prefixes(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts) + 1)]
