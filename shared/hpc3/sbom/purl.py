"""Package URLs of components (https://github.com/package-url/purl-spec)."""

from __future__ import annotations

from urllib.parse import quote

from hpc3.facts import Component

# packageurl-python was passed over: the SBOM is also written inside Spack's own Python, where only the standard
# library and this package are sure to be there. The tests read every purl back with it.


def purl_of(component: Component, manager: str) -> str:
    """Return the purl of a component: its own where it has one, else ``pkg:spack/builtin/zlib@1.3.1?daghash=…``.

    The type ``spack`` is proposed (package-url/purl-spec #895, #898), with the namespace required and the DAG hash as
    a qualifier; other managers have no type and are ``generic``, where letters keep their case.
    """
    if component.purl.startswith("pkg:"):
        return component.purl
    version = f"@{_encoded(component.version)}" if component.version else ""
    if manager == "spack":
        namespace = _encoded(component.namespace or "builtin")
        return f"pkg:spack/{namespace}/{_encoded(component.name.lower())}{version}?daghash={_encoded(component.id)}"
    return f"pkg:generic/{_encoded(component.name)}{version}"


def _encoded(text: str) -> str:
    return text if text.isalnum() and text.isascii() else quote(text, safe="", errors="replace")
