"""From a source to the text of a recipe: the one composition that the command line and Spack's plug-in share."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from .annotations import Annotations, annotations_for
from .errors import InputError, UsageError
from .facts import Manager
from .recipe.plan import Plan
from .request import EasyBuildRequest, GitSource, HpccmRequest, Images, SpackRequest
from .sbom.cyclonedx import cyclonedx_sbom
from .sources.source import Source

# Planners and renderers are imported where they are called: a run needs one of each, and the others' import shows.

#: What ``container:format`` of ``spack.yaml`` calls the formats.
_FORMATS = {"docker": "docker", "singularity": "apptainer"}


@dataclass(frozen=True)
class RecipeOptions:
    """How a recipe is to be.

    Attributes:
        format: ``docker`` or ``apptainer``; empty: what the source asks for.
        externals: OS packages by external of the lock.
        picked: whether roots were picked, so that only they are installed.
        in_build: whether the build concretizes for itself.
        image: base image of both stages, for a source that does not name images itself.
    """

    format: str = ""
    externals: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    picked: bool = False
    in_build: bool = False
    image: str = ""


@dataclass(frozen=True)
class Recipe:
    """A recipe and what is to be said of it.

    Attributes:
        text: the Dockerfile or definition file.
        annotations: those of the image that it makes.
        notes: what a person should know besides, one line each.
    """

    text: str
    annotations: Annotations
    notes: tuple[str, ...] = ()


def recipe_from_source(source: Source, options: RecipeOptions) -> Recipe:
    """Return the recipe of an image.

    Raises:
        InputError: the source cannot become an image, or not as it is asked for.
        UsageError: options that do not fit together.
    """
    if source.request is None:
        raise InputError("there is no spack.yaml beside the lock: it says how the image is to be")
    if options.in_build and options.picked:
        raise UsageError("--root picks roots of a lock, which --concretize-in-build does not build from")
    annotations = annotations_for(source.facts)
    notes: tuple[str, ...] = ()
    if isinstance(source.request, HpccmRequest):
        return Recipe(_hpccm_text(source, source.request, annotations, options), annotations)
    if isinstance(source.request, EasyBuildRequest):
        plan, own_format = _easybuild_plan(source, source.request, annotations, options), "docker"
    else:
        plan, own_format = _spack_plan(source, source.request, annotations, options), source.request.format
        notes = tuple(_notes(source.facts.manager, source.request.images, options))
    return Recipe(_rendered(plan, options.format or _FORMATS[own_format]), annotations, notes)


def _rendered(plan: Plan, form: str) -> str:
    if form == "apptainer":
        from .recipe.apptainer import render_definition

        return render_definition(plan)
    from .recipe.dockerfile import render_dockerfile

    return render_dockerfile(plan)


def _hpccm_text(source: Source, request: HpccmRequest, annotations: Annotations, options: RecipeOptions) -> str:
    from .recipe.hpccm import HpccmImageInput, render_hpccm_definition, render_hpccm_dockerfile

    if options.image or options.externals or options.in_build:
        raise UsageError("--image, --external and --concretize-in-build do not go with HPCCM: its recipe says it all")
    render = render_hpccm_definition if options.format == "apptainer" else render_hpccm_dockerfile
    return render(HpccmImageInput(source.facts, request, annotations, _documents(source, annotations)))


def _spack_plan(source: Source, request: SpackRequest, annotations: Annotations, options: RecipeOptions) -> Plan:
    from .recipe.spack import SpackPlanInput, plan_spack_image

    roots = tuple(component.id for component in source.facts.components.values() if component.root)
    return plan_spack_image(
        SpackPlanInput(
            facts=source.facts,
            request=request,
            annotations=annotations,
            documents={} if options.in_build else _documents(source, annotations),
            repository=source.metadata.repository if source.metadata else GitSource(),
            # What a lock of the build will want is not known; every view gives the same.
            environment=source.metadata.environment(roots) if source.metadata and not options.in_build else (),
            externals=options.externals,
            picked=roots if options.picked else (),
            in_build=options.in_build,
        )
    )


def _easybuild_plan(
    source: Source, request: EasyBuildRequest, annotations: Annotations, options: RecipeOptions
) -> Plan:
    from .recipe.easybuild import EasyBuildPlanInput, plan_easybuild_image

    return plan_easybuild_image(
        EasyBuildPlanInput(
            facts=source.facts,
            request=request,
            annotations=annotations,
            documents={**_documents(source, annotations), **source.files},
            externals=options.externals,
            image=options.image,
        )
    )


def _notes(manager: Manager, images: Images, options: RecipeOptions) -> Iterator[str]:
    asked = images.spack_version.lstrip("v")
    if asked and manager.version and asked != manager.version:
        yield (
            f"container:images:spack asks for Spack {asked}; the recipe takes {manager.version}, which wrote the lock, "
            "so that the lock means the same"
        )
    if options.in_build:
        yield (
            "the build makes a lock of its own: only what holds whatever it says is labelled; "
            "'hpc3 apply --from-image' annotates the built image from that lock"
        )


def _documents(source: Source, annotations: Annotations) -> dict[str, bytes]:
    return {
        "annotations.json": annotations_json(annotations).encode("utf-8"),
        "sbom.cdx.json": cyclonedx_sbom(source.facts).encode("utf-8"),
    }


def annotations_json(annotations: Annotations) -> str:
    """Return annotations as a flat JSON object, sorted by key, one key a line."""
    return json.dumps(annotations.values, indent=1, ensure_ascii=False) + "\n"
