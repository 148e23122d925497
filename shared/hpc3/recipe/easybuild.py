"""The plan of an image from a record of EasyBuild's hooks: built by EasyBuild anew, made to keep the contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hpc3.annotations import Annotations
from hpc3.behaviour import RECIPE_PROFILE
from hpc3.errors import InputError
from hpc3.facts import CpuTarget, Facts, Known
from hpc3.request import (
    EASYBUILD_MODULES,
    EASYBUILD_SOFTWARE,
    EasyBuildRequest,
    EnvironmentChange,
    Images,
    OsPackages,
)
from hpc3.tables import Row

from .base_images import BaseImages, choose_base_images
from .contract import DOCUMENTS_PATH, NVIDIA_ENVIRONMENT, merged_environment
from .easybuild_packages import packages_for, prerequisites_for
from .easybuild_steps import (
    INDEX_ARGUMENT,
    SOURCES_ARGUMENT,
    VERSION_ARGUMENT,
    bootstrap_easybuild,
    copy_files,
    drop_build_only,
    forget_builder,
    install,
    interactive_shells,
    login_script,
)
from .easybuild_target import optarch_for
from .os_packages import MIRROR_ARGUMENT, StagePackages, install_step, package_manager_for
from .plan import Argument, Copy, Plan, Run, Stage, Step, Write


@dataclass(frozen=True)
class EasyBuildPlanInput:
    """Everything that a plan is made from.

    Attributes:
        facts: what the record states.
        request: what it asks of the image.
        annotations: those of the image.
        documents: files about the image that it carries, bytes by name (``sbom.cdx.json``).
        externals: OS packages by wrapped software or OS dependency, as the command line says.
        image: base image of both stages; empty: that of the system where the record was made.
    """

    facts: Facts
    request: EasyBuildRequest
    annotations: Annotations
    documents: Mapping[str, bytes] = field(default_factory=dict)
    externals: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    image: str = ""


def plan_easybuild_image(wanted: EasyBuildPlanInput) -> Plan:
    """Return the plan of an image.

    Raises:
        InputError: the base image, its packages or the processor's flags are not known.
    """
    request = wanted.request
    images = _images(wanted)
    assert images.system is not None
    prerequisites = prerequisites_for(images.system["family"], request.easyconfig)
    packages = packages_for(request, images.system["family"], wanted.externals)
    manager = package_manager_for(OsPackages(), images.system)
    environment = _environment(wanted)
    return Plan(
        header=_header(wanted),
        arguments=(
            Argument("BUILD_IMAGE", images.build, "Image of the build stage"),
            Argument("FINAL_IMAGE", images.final, "Image of the final stage"),
            Argument(VERSION_ARGUMENT, request.version, "EasyBuild that the record was written by"),
            INDEX_ARGUMENT,
            SOURCES_ARGUMENT,
            MIRROR_ARGUMENT,
        ),
        stages=(
            Stage("build", "BUILD_IMAGE", _build_steps(wanted, prerequisites, packages, manager, environment)),
            Stage("final", "FINAL_IMAGE", _final_steps(prerequisites, packages, manager)),
        ),
        environment=environment,
        labels=wanted.annotations.labels(),
    )


def _images(wanted: EasyBuildPlanInput) -> BaseImages:
    named = Images(build=wanted.image, final=wanted.image)
    images = choose_base_images(wanted.facts, named, follow_lock=False) if wanted.image or _has_os(wanted) else None
    if images is None or images.system is None:
        raise InputError(
            f"the system of the image {wanted.image} is not known" if wanted.image else "no base image is known",
            where=wanted.request.easyconfig,
            remedy="name one of a known system: --image debian:12",
        )
    return images


def _has_os(wanted: EasyBuildPlanInput) -> bool:
    return isinstance(wanted.facts.os, Known)


def _environment(wanted: EasyBuildPlanInput) -> tuple[EnvironmentChange, ...]:
    nvidia = isinstance(wanted.facts.gpu, Known) and "nvidia" in wanted.facts.gpu.value.vendors
    paths = ":".join(f"{EASYBUILD_MODULES}/{path}".rstrip("/") for path in wanted.request.load_paths)
    return merged_environment(
        (
            *wanted.request.environment,
            EnvironmentChange("prepend", "MODULEPATH", paths),
            EnvironmentChange("set", "LMOD_ALLOW_ROOT_USE", "yes"),
            *(NVIDIA_ENVIRONMENT if nvidia else ()),
        )
    )


def _header(wanted: EasyBuildPlanInput) -> tuple[str, ...]:
    request = wanted.request
    if request.exact:
        environment = "Its environment is what the installed modules gave."
    else:
        environment = "Its environment is what EasyBuild's rules foresee; login shells have it from the modules."
    return (
        f"{request.easyconfig} by EasyBuild {request.version}, from record.json ({wanted.facts.digest}).",
        "Written by hpc3, not by hand: change the easyconfig and write it anew with 'hpc3 containerize';",
        "'hpc3 containerize --check' tells whether it is up to date. The build's context is the record's folder.",
        environment,
    )


def _build_steps(
    wanted: EasyBuildPlanInput,
    prerequisites: Row,
    packages: StagePackages,
    manager: Row,
    environment: tuple[EnvironmentChange, ...],
) -> tuple[Step, ...]:
    request = wanted.request
    names = (*prerequisites["build"], *packages.build)
    steps: list[Step | None] = [
        install_step("What EasyBuild needs, and what the easyconfigs need of the system", manager, names, update=True),
        bootstrap_easybuild(),
        *copy_files(request),
        install(request, prerequisites, optarch_for(_target(wanted), request)),
        drop_build_only(request),
        forget_builder(),
        *(
            Write(
                f"What is in the image: {name}", f"{DOCUMENTS_PATH}/{name}", content, packed=name != "annotations.json"
            )
            for name, content in sorted(wanted.documents.items())
        ),
        login_script(environment, request, prerequisites),
    ]
    return tuple(step for step in steps if step is not None)


def _target(wanted: EasyBuildPlanInput) -> CpuTarget:
    target = wanted.facts.target
    if isinstance(target, Known):
        return target.value
    raise InputError(
        f"the processor is not known: {target.reason}",
        where=wanted.request.easyconfig,
        remedy="record it with an explicit optarch, such as eb --optarch=GENERIC",
    )


def _final_steps(prerequisites: Row, packages: StagePackages, manager: Row) -> tuple[Step, ...]:
    names = (*prerequisites["final"], *packages.final)
    steps: list[Run | Copy | None] = [
        install_step("What the modules and the software need of the system", manager, names, update=True),
        Copy("The runtime closure", (EASYBUILD_SOFTWARE,), f"{EASYBUILD_SOFTWARE}/", "build", folder=True),
        Copy("Its modules", (EASYBUILD_MODULES,), f"{EASYBUILD_MODULES}/", "build", folder=True),
        Copy("What is in it", (DOCUMENTS_PATH,), f"{DOCUMENTS_PATH}/", "build", folder=True),
        Copy("Its environment for login shells", (RECIPE_PROFILE,), "/etc/profile.d/", "build"),
        interactive_shells(prerequisites),
    ]
    return tuple(step for step in steps if step is not None)
