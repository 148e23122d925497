"""What a person asks of the image, beside the facts: the container section, packages, mirrors, files to copy.

``sources`` reads it from ``spack.yaml``; ``recipe`` plans with it. Facts say what the software is; a request says how
the image is to be made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

#: Where a Spack environment lies in the image; Spack's own recipes use the same path.
ENVIRONMENT_PATH = "/opt/spack-environment"


@dataclass(frozen=True)
class Images:
    """The base images of ``container:images``; every field is empty where the person did not say.

    Attributes:
        os: Spack's name of the image's system (``ubuntu:24.04``); stands for both stages.
        build: image of the build stage, where it is named outright.
        final: image of the final stage, where it is named outright.
        spack_version: version of Spack that the section asks for.
        spack_url: where Spack is cloned from.
    """

    os: str = ""
    build: str = ""
    final: str = ""
    spack_version: str = ""
    spack_url: str = ""


@dataclass(frozen=True)
class OsPackages:
    """Packages of the operating system: what installs them, and which of them each stage gets."""

    command: str = ""
    update: bool = True
    build: tuple[str, ...] = ()
    final: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mirror:
    """A mirror or build cache that the environment names.

    Attributes:
        name: its name in ``mirrors``.
        binary: whether compiled packages may come from it.
        secrets: names of the environment variables that hold its credentials, sorted.
    """

    name: str
    binary: bool = True
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True)
class GitSource:
    """A git repository and what of it is wanted: a commit, tag or branch; empty: not said."""

    url: str = ""
    ref: str = ""


@dataclass(frozen=True)
class EnvironmentChange:
    """One change of the environment that the installed software needs.

    Attributes:
        action: ``set`` or ``prepend``.
        name: name of the variable.
        value: absolute path in the image, or any text.
        separator: between the entries of a list; only for ``prepend``.
    """

    action: str
    name: str
    value: str
    separator: str = ":"


@dataclass(frozen=True)
class SpackRequest:
    """What ``spack.yaml`` and the files beside it ask of an image.

    Attributes:
        format: ``docker`` or ``singularity``.
        images: base images.
        os_packages: packages of the operating system.
        strip: whether binaries are stripped.
        depfile: whether the install goes through a Makefile that Spack writes.
        labels: labels that the person wants, value by key.
        singularity: ``runscript``, ``startscript``, ``test``, ``help`` for the definition file.
        packages: the packages repository that the environment pins.
        mirrors: mirrors and build caches, sorted by name.
        folders: folders that the build needs, relative to the environment's folder, sorted.
        files: files that it needs besides, likewise.
        warnings: what was said but is not followed, one line each.
    """

    format: str = "docker"
    images: Images = Images()
    os_packages: OsPackages = OsPackages()
    strip: bool = True
    depfile: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    singularity: Mapping[str, str] = field(default_factory=dict)
    packages: GitSource = GitSource()
    mirrors: tuple[Mirror, ...] = ()
    folders: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class InstalledModule:
    """Where EasyBuild puts a module.

    Attributes:
        software: folder below that of all installations.
        file: module file below that of all modules, without its suffix.
    """

    software: str
    file: str


@dataclass(frozen=True)
class EasyBuildRequest:
    """What a record of EasyBuild's hooks asks of an image.

    Attributes:
        easyconfig: file name of the easyconfig that is installed.
        version: EasyBuild's version.
        options: EasyBuild's options, value by name; empty for a switch.
        optarch: the option as the session had it, where it decides the target of the whole closure; else empty.
        compilers: compilers of the runtime closure as archspec calls them, with EasyBuild's family and the version.
        files: files that the build needs, relative to the record's folder, sorted.
        build_only: modules that are removed after the build.
        load_paths: paths to use, below the folder of all modules.
        load_modules: modules to load, in order.
        environment: what loading them changes, in order.
        exact: whether that is what the modules gave; else it is what EasyBuild's rules foresee.
        os_build: what the build needs of the operating system: alternatives for each.
        os_final: what of it the runtime closure needs.
        wrapped: names of software that is not built but taken from the operating system, for the build.
        wrapped_final: those in the runtime closure.
        warnings: what a person should know, one line each.
    """

    easyconfig: str
    version: str
    options: Mapping[str, str] = field(default_factory=dict)
    optarch: str = ""
    compilers: tuple[tuple[str, str, str], ...] = ()
    files: tuple[str, ...] = ()
    build_only: tuple[InstalledModule, ...] = ()
    load_paths: tuple[str, ...] = ()
    load_modules: tuple[str, ...] = ()
    environment: tuple[EnvironmentChange, ...] = ()
    exact: bool = False
    os_build: tuple[tuple[str, ...], ...] = ()
    os_final: tuple[tuple[str, ...], ...] = ()
    wrapped: tuple[str, ...] = ()
    wrapped_final: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class HpccmRequest:
    """What a recipe of HPCCM asks of an image: HPCCM's own text, which ours goes after.

    Attributes:
        recipe: file name of the recipe.
        version: HPCCM's release.
        arguments: what it was run with, as on HPCCM's command line.
        dockerfile: HPCCM's Dockerfile.
        definition: its definition file; empty: there is none.
        definition_fault: why there is none.
        environment: what the last stage leaves in the environment, in order.
        user: as whom containers would run; empty: the recipe does not say.
        warnings: what a person should know, one line each.
    """

    recipe: str
    version: str
    arguments: str = ""
    dockerfile: str = ""
    definition: str = ""
    definition_fault: str = ""
    environment: tuple[EnvironmentChange, ...] = ()
    user: str = ""
    warnings: tuple[str, ...] = ()


#: Where EasyBuild installs in an image.
EASYBUILD_SOFTWARE = "/opt/easybuild/software"
EASYBUILD_MODULES = "/opt/easybuild/modules/all"
