"""The plan of an image from a Spack environment: what Spack's own recipe does, made to keep the contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hpc3.annotations import Annotations
from hpc3.behaviour import RECIPE_PROFILE
from hpc3.errors import InputError
from hpc3.facts import Facts, Known
from hpc3.request import ENVIRONMENT_PATH, EnvironmentChange, GitSource, SpackRequest
from hpc3.tables import Row, rows
from hpc3.vocabulary import OCI_PREFIX, is_reserved, key

from .base_images import BaseImages, choose_base_images
from .contract import DOCUMENTS_PATH, NVIDIA_ENVIRONMENT, merged_environment, profile_script
from .os_packages import (
    MIRROR_ARGUMENT,
    StagePackages,
    install_step,
    map_externals,
    package_manager_for,
    prerequisites,
)
from .plan import Argument, Copy, Plan, Run, Stage, Step, Write
from .spack_steps import (
    STORE_PATH,
    VIEW_PATH,
    bootstrap_spack,
    check_system,
    check_toolchain,
    concretize_in_build,
    configuration,
    forget_builder,
    install,
    spack_arguments,
    strip_binaries,
    uses_build_cache,
)

_SPACK_URL = "https://github.com/spack/spack.git"
_PACKAGES_URL = "https://github.com/spack/spack-packages.git"

#: What a view gives to the environment where no Spack can be asked: ``prefix_inspections`` of Spack's
#: etc/spack/defaults/modules.yaml (0.22 to 1.1), the same for every package. MANPATH is left out: man finds the pages
#: beside a folder of PATH, and a MANPATH would hide the system's own.
_VIEW_ENVIRONMENT = (
    EnvironmentChange("prepend", "CMAKE_PREFIX_PATH", VIEW_PATH),
    EnvironmentChange("prepend", "PATH", f"{VIEW_PATH}/bin"),
    EnvironmentChange("prepend", "PKG_CONFIG_PATH", f"{VIEW_PATH}/lib/pkgconfig:{VIEW_PATH}/lib64/pkgconfig"),
)

#: With the lock made in the build, only these hold whatever it says.
_BY_CONSTRUCTION = (
    "schema.version",
    "software.name",
    "software.manager.name",
    "software.manager.version",
    "hardware.cpu.optimized.mode",
    "hardware.cpu.optimized.version",
    "userland.shell",
    "userland.entrypoint",
    "userland.profile",
)


@dataclass(frozen=True)
class SpackPlanInput:
    """Everything that a plan is made from.

    Attributes:
        facts: what the lock states.
        request: what ``spack.yaml`` asks for.
        annotations: those of the image.
        documents: files about the image that it carries, bytes by name (``sbom.cdx.json``).
        repository: packages repository that a running Spack named; empty: not known.
        environment: what a running Spack would set; empty: not asked.
        externals: OS packages by external, as the command line says.
        picked: hashes of the roots that were picked; empty: all.
        in_build: whether the build concretizes for itself.
    """

    facts: Facts
    request: SpackRequest
    annotations: Annotations
    documents: Mapping[str, bytes] = field(default_factory=dict)
    repository: GitSource = field(default_factory=GitSource)
    environment: tuple[EnvironmentChange, ...] = ()
    externals: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    picked: tuple[str, ...] = ()
    in_build: bool = False


def plan_spack_image(wanted: SpackPlanInput) -> Plan:
    """Return the plan of an image.

    Raises:
        InputError: image and lock are different systems, an external has no package, or Spack's version, packages or
            base image are not known.
    """
    facts, request = wanted.facts, wanted.request
    images = choose_base_images(facts, request.images, follow_lock=not wanted.in_build)
    family = images.system["family"] if images.system else ""
    externals = map_externals(facts, family, wanted.externals)
    manager = package_manager_for(request.os_packages, images.system)
    spack = _spack_source(facts, request)
    packages = _packages_source(wanted)
    environment = merged_environment(
        (*(wanted.environment or _VIEW_ENVIRONMENT), *(NVIDIA_ENVIRONMENT if _for_nvidia(facts) else ()))
    )
    return Plan(
        header=_header(wanted),
        arguments=(
            Argument("BUILD_IMAGE", images.build, "Image of the build stage"),
            Argument("FINAL_IMAGE", images.final, "Image of the final stage"),
            *spack_arguments(spack, packages),
            MIRROR_ARGUMENT,
        ),
        stages=(
            Stage("build", "BUILD_IMAGE", _build_steps(wanted, images, externals, manager, packages, environment)),
            Stage("final", "FINAL_IMAGE", _final_steps(wanted, images, externals, manager)),
        ),
        environment=environment,
        labels=_labels(wanted),
        sections=request.singularity,
    )


def _header(wanted: SpackPlanInput) -> tuple[str, ...]:
    software = wanted.facts.software
    what = f"{software.value.name} {software.value.version}" if isinstance(software, Known) else "a Spack environment"
    lock = "a lock that the build makes" if wanted.in_build else f"spack.lock ({wanted.facts.digest})"
    return (
        f"{what} from spack.yaml and {lock}.",
        "Written by hpc3, not by hand: change spack.yaml and write it anew with 'hpc3 containerize';",
        "'hpc3 containerize --check' tells whether it is up to date. The build's context is the environment's folder.",
    )


def _build_steps(
    wanted: SpackPlanInput,
    images: BaseImages,
    externals: StagePackages,
    manager: Row,
    packages: GitSource | None,
    environment: tuple[EnvironmentChange, ...],
) -> tuple[Step, ...]:
    facts, request = wanted.facts, wanted.request
    family = images.system["family"] if images.system else ""
    purposes = ["spack", "compilers", *(["signatures"] if uses_build_cache(request.mirrors) else [])]
    names = (*prerequisites(family, purposes), *externals.build, *request.os_packages.build)
    digest = "" if wanted.in_build else facts.digest.partition(":")[2]
    steps: list[Step | None] = [
        None if wanted.in_build else check_system(images.system, facts.target),
        install_step("What Spack needs, and what the lock finds outside of Spack", manager, names,
                     update=request.os_packages.update),
        None if wanted.in_build else check_toolchain(facts),
        bootstrap_spack(facts, packages),
        *configuration(facts, packages),
        *_context_copies(wanted),
        concretize_in_build(_required_target(facts)) if wanted.in_build else None,
        install(request.mirrors, digest=digest, depfile=request.depfile, roots=wanted.picked),
        strip_binaries() if request.strip else None,
        forget_builder(),
        *_documents(wanted),
        profile_script(environment),
    ]  # fmt: skip
    return tuple(step for step in steps if step is not None)


def _context_copies(wanted: SpackPlanInput) -> list[Step]:
    names = ("spack.yaml",) if wanted.in_build else ("spack.yaml", "spack.lock")
    copies: list[Step] = [Copy("The environment", names, f"{ENVIRONMENT_PATH}/")]
    comment = "What the environment refers to"
    for path in wanted.request.folders:
        # COPY copies what is in a folder, not the folder: the name is said again.
        copies.append(Copy(comment, (path,), f"{ENVIRONMENT_PATH}/{path}/", folder=True))
    for path in wanted.request.files:
        copies.append(Copy(comment, (path,), f"{ENVIRONMENT_PATH}/{path.rpartition('/')[0]}/".replace("//", "/")))
    return copies


def _documents(wanted: SpackPlanInput) -> list[Write]:
    return [
        Write(f"What is in the image: {name}", f"{DOCUMENTS_PATH}/{name}", content, packed=name.startswith("sbom"))
        for name, content in sorted(wanted.documents.items())
    ]


def _final_steps(
    wanted: SpackPlanInput, images: BaseImages, externals: StagePackages, manager: Row
) -> tuple[Step, ...]:
    request = wanted.request
    names = {*externals.final, *request.os_packages.final}
    if images.system and images.system["family"] == "alpine":
        names.add("bash")  # the login shell of the contract
    steps: list[Run | Copy | None] = [
        None if wanted.in_build else check_system(images.system, wanted.facts.target),
        install_step("What the software needs of the system at run time", manager, names,
                     update=request.os_packages.update),
        Copy("The runtime closure", (STORE_PATH,), f"{STORE_PATH}/", "build", folder=True),
        Copy("Its view", ("/opt/views",), "/opt/views/", "build", folder=True),
        Copy("What it was built from", (f"{ENVIRONMENT_PATH}/spack.yaml", f"{ENVIRONMENT_PATH}/spack.lock"),
             f"{ENVIRONMENT_PATH}/", "build"),
        Copy("What is in it", (DOCUMENTS_PATH,), f"{DOCUMENTS_PATH}/", "build", folder=True),
        Copy("Its environment for login shells", (RECIPE_PROFILE,), "/etc/profile.d/", "build"),
    ]  # fmt: skip
    return tuple(step for step in steps if step is not None)


def _spack_source(facts: Facts, request: SpackRequest) -> GitSource:
    ref = facts.manager.commit or (f"v{facts.manager.version}" if facts.manager.version else "")
    if not ref:
        ref = request.images.spack_version
    if not ref:
        raise InputError(
            "does not name the Spack that wrote it", where="spack.lock", remedy="name it: container:images:spack"
        )
    return GitSource(request.images.spack_url or _SPACK_URL, ref)


def _packages_source(wanted: SpackPlanInput) -> GitSource | None:
    """Return the packages repository to clone; None where Spack brings its packages or the environment names them."""
    version = wanted.facts.manager.version
    if version.startswith("0.") or wanted.request.packages.ref:
        return None
    if wanted.repository.ref:
        return GitSource(wanted.repository.url or _PACKAGES_URL, wanted.repository.ref)
    release = ".".join(version.split(".")[:2])
    for row in rows("spack_releases"):
        if row["spack"] == release and "dev" not in version:
            return GitSource(_PACKAGES_URL, row["packages_tag"])
    raise InputError(
        f"which packages go with Spack {version or 'of an unknown version'} is not known",
        where="spack.lock",
        remedy="pin them in spack.yaml (repos: {builtin: {git: URL, commit: SHA}}), or let 'spack containerize "
        "--annotate' ask Spack once",
    )


def _for_nvidia(facts: Facts) -> bool:
    return isinstance(facts.gpu, Known) and "nvidia" in facts.gpu.value.vendors


def _required_target(facts: Facts) -> str:
    if isinstance(facts.target, Known):
        return facts.target.value.name
    raise InputError(f"the CPU target is not known: {facts.target.reason}", where="spack.lock")


def _labels(wanted: SpackPlanInput) -> dict[str, str]:
    labels = dict(wanted.request.labels)
    for name in labels:
        if is_reserved(name):
            raise InputError(f"the label {name} steers container runtimes and is never written", where="spack.yaml")
    kept = {key(name) for name in _BY_CONSTRUCTION} | {OCI_PREFIX + "title"}
    for name, value in wanted.annotations.labels().items():
        if not wanted.in_build or name in kept:
            labels[name] = value
    return labels
