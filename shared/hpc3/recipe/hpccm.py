"""HPCCM's own recipe text, and after it what makes its image keep the contract."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from hpc3.annotations import Annotations
from hpc3.errors import InputError, printable
from hpc3.facts import Facts, Known
from hpc3.request import EnvironmentChange, HpccmRequest

from .apptainer import render_last_sections
from .contract import DOCUMENTS_PATH, NVIDIA_ENVIRONMENT, merged_environment, profile_script
from .dockerfile import render_last_steps
from .plan import Copy, Write


@dataclass(frozen=True)
class HpccmImageInput:
    """Everything that a recipe is made from.

    Attributes:
        facts: what the recipe states.
        request: HPCCM's text, and what it leaves.
        annotations: those of the image.
        documents: files about the image that it carries, text by name (``sbom.cdx.json``).
    """

    facts: Facts
    request: HpccmRequest
    annotations: Annotations
    documents: Mapping[str, bytes]


def render_hpccm_dockerfile(wanted: HpccmImageInput) -> str:
    """Return HPCCM's Dockerfile with the end that keeps the contract.

    Raises:
        InputError: a value holds what no line of a Dockerfile can hold.
    """
    own = [f"# {line}" for line in (*_header(wanted.request), _LINT)]
    last = render_last_steps(_steps(wanted), _added_environment(wanted.facts), wanted.annotations.labels())
    # Engines run an image as whoever starts it.
    as_root = ["USER 0"] if wanted.request.user else []
    return "\n\n".join(["\n".join(own), wanted.request.dockerfile.strip("\n"), _NOTE, *as_root, last])


def render_hpccm_definition(wanted: HpccmImageInput) -> str:
    """Return HPCCM's definition file with the end that keeps the contract.

    Raises:
        InputError: HPCCM makes none of the recipe, or a value holds what it cannot hold.
    """
    request = wanted.request
    if not request.definition:
        raise InputError(
            f"HPCCM makes no definition file of it: {' '.join(request.definition_fault.split())}", where=request.recipe
        )
    if re.search(r"^\s*%runscript\b", request.definition, re.MULTILINE):
        raise InputError("has a runscript, but what is asked for is what an image runs", where=request.recipe)
    own = [f"# {line}" for line in _header(request)]
    last = render_last_sections(_steps(wanted), _added_environment(wanted.facts), wanted.annotations.labels())
    return "\n\n".join(["\n".join(own), request.definition.strip("\n"), _NOTE, last])


#: Rules of hadolint that HPCCM's text breaks (cd, packages without versions, words that are split), and our end after
#: it (root as the last user, a second CMD and ENTRYPOINT).
_LINT = "hadolint global ignore=DL3002,DL3003,DL3008,DL3033,DL4003,DL4004,SC2046"

_NOTE = "# From here on by hpc3: what is in the image, and how it behaves"


def _header(request: HpccmRequest) -> tuple[str, ...]:
    run_with = f" with {request.arguments}" if request.arguments else ""
    return (
        printable(f"{request.recipe} by HPCCM {request.version}{run_with}."),
        "Written by hpc3, not by hand: change the recipe and write it anew with 'hpc3 containerize';",
        "'hpc3 containerize --check' tells whether it is up to date. The build's context is the recipe's folder.",
    )


def _steps(wanted: HpccmImageInput) -> list[Copy | Write]:
    # Not packed: nothing that unpacks need be in the last stage.
    documents = [
        Write(f"What is in the image: {name}", f"{DOCUMENTS_PATH}/{name}", content)
        for name, content in sorted(wanted.documents.items())
    ]
    environment = merged_environment((*wanted.request.environment, *_added_environment(wanted.facts)))
    recipe = Copy("The recipe", (wanted.request.recipe,), f"{DOCUMENTS_PATH}/")
    return [recipe, *documents, profile_script(environment)]


def _added_environment(facts: Facts) -> tuple[EnvironmentChange, ...]:
    """Return what the image's environment needs besides what HPCCM's text gives it."""
    nvidia = isinstance(facts.gpu, Known) and "nvidia" in facts.gpu.value.vendors
    return NVIDIA_ENVIRONMENT if nvidia else ()
