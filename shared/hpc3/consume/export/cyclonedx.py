"""CycloneDX: what an image states as a bill of materials that GUAC and its like take in.

It holds no more than the image says of itself; the SBOM of its build is what ``hpc3 sbom`` writes. Components are of
the purl type ``generic``: an annotation does not say who packaged them, and GUAC refuses a document with a type that
it does not know (guacsec/guac, pkg/assembler/helpers/purl.go; ``spack`` is one).
"""

from __future__ import annotations

import json
import uuid
from typing import Any
from urllib.parse import quote

from hpc3 import __version__
from hpc3.errors import InputError

from ..image import Image

#: Transports whose place is a path on somebody's disk, which is nobody else's business.
_LOCAL = ("oci:", "oci-archive:", "containers-storage:")
_ALGORITHMS = {"sha256": "SHA-256", "sha512": "SHA-512"}


def cyclonedx_bom(image: Image) -> str:
    """Return the image as CycloneDX 1.6 in JSON: a container, its annotations as properties, what it depends on.

    Raises:
        InputError: the image's digest is not known; a bill of nothing would mislead.
    """
    algorithm, _, digest = image.digest.partition(":")
    if algorithm not in _ALGORITHMS:
        raise InputError("has no digest, and a bill of materials needs one", remedy="give what 'hpc3 inspect' prints")
    purl = image_purl(image)
    components = [_component(entry) for entry in image.values("software.dependencies")]
    container: dict[str, Any] = {
        "type": "container",
        "bom-ref": purl,
        "name": image.value("software.name") or image.title,
        "version": image.value("software.version") or image.digest,
        "hashes": [{"alg": _ALGORITHMS[algorithm], "content": digest}],
        "purl": purl,
        "properties": [{"name": name, "value": statement.value} for name, statement in image.statements.items()],
    }
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": "",
        "version": 1,
        "metadata": {
            "tools": {"components": [{"type": "application", "name": "hpc3", "version": __version__}]},
            "component": container,
        },
        "components": components,
        "dependencies": [{"ref": purl, "dependsOn": [component["bom-ref"] for component in components]}],
    }
    # The same statements of the same image give the same document, others another serial number.
    document["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(document))}"
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def image_purl(image: Image) -> str:
    """Return the package URL of an image (purl-spec, type oci): name, digest, and the registry where there is one."""
    is_local = image.reference.startswith(_LOCAL)
    place = "" if is_local else image.reference.partition("@")[0].rpartition("//")[2]
    folder, slash, last = place.rpartition("/")
    name, _, tag = last.partition(":")
    name = name.lower() or image.value("software.name") or "image"
    where = [f"repository_url={quote(f'{folder}/{name}', safe='')}"] if slash else []
    if tag:
        where.append(f"tag={quote(tag, safe='')}")
    qualifiers = f"?{'&'.join(where)}" if where else ""
    return f"pkg:oci/{quote(name, safe='')}@{quote(image.digest, safe='')}{qualifiers}"


def _component(entry: str) -> dict[str, str]:
    name, _, version = entry.partition("@")
    purl = f"pkg:generic/{quote(name, safe='')}" + (f"@{quote(version, safe='')}" if version else "")
    known = {"version": version} if version else {}
    return {"type": "library", "bom-ref": entry, "name": name, **known, "purl": purl}
