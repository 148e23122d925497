"""Package URLs of components."""

from __future__ import annotations

from urllib.parse import quote

from hpc3.facts import Component

# packageurl-python was passed over: the SBOM is also written inside Spack's own Python, where only the standard
# library and this package are sure to be there. The tests read every purl back with it.


def purl_of(component: Component, manager: str) -> str:
    """Return the purl of a component: ``pkg:spack/builtin/zlib@1.3.1?daghash=…``.

    The type ``spack`` is proposed (package-url/purl-spec #895, #898), with the namespace required and the DAG hash as
    a qualifier; other managers have no type and are ``generic``.
    """
    name, version = quote(component.name.lower(), safe=""), quote(component.version, safe="")
    if manager == "spack":
        namespace = quote(component.namespace or "builtin", safe="")
        return f"pkg:spack/{namespace}/{name}@{version}?daghash={quote(component.id, safe='')}"
    return f"pkg:generic/{name}@{version}"
