"""What a person asks of the image, beside the facts: the container section, packages, mirrors, files to copy.

``sources`` reads it from ``spack.yaml``; ``recipe`` plans with it. Facts say what the software is; a request says how
the image is to be made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


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
