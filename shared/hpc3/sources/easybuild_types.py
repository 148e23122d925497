"""The types of a record: what EasyBuild's hooks found out, checked; see ``data/easybuild_record.schema.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Union

#: Stand for the builder's folders in ``environment``.
SOFTWARE = "@SOFTWARE@"
MODULES = "@MODULES@"

Optarch = Union[str, Mapping[str, str]]


@dataclass(frozen=True)
class Built:
    """For which processor a build was told to build.

    Attributes:
        optarch: EasyBuild's option: empty (the building host), ``GENERIC``, flags, or flags by compiler family.
        host: archspec name of the building host; empty when not known.
        evidence: what says so: ``session``, ``hpc3.json``, ``test report``.
    """

    optarch: Optarch
    host: str
    evidence: str


@dataclass(frozen=True)
class Toolchain:
    """A module's toolchain; families are EasyBuild's own words and empty for none."""

    name: str
    version: str
    system: bool
    compiler_family: str
    compiler_modules: tuple[str, ...]
    mpi_family: str
    mpi_modules: tuple[str, ...]
    options: Mapping[str, bool | str]


@dataclass(frozen=True)
class Edge:
    """A dependency: ``external`` lists what an external module provides, name and version; None for an own module."""

    module: str
    types: tuple[str, ...]
    toolchain: bool
    external: tuple[tuple[str, str], ...] | None
    prefix: str = ""


@dataclass(frozen=True)
class Material:
    """A source or patch: where it is fetched from and its checksum, each empty when not stated."""

    name: str
    urls: tuple[str, ...]
    sha256: str


@dataclass(frozen=True)
class Part:
    """Software inside of a module: a part of a bundle, or an extension (``class_`` is what installs it)."""

    name: str
    version: str
    class_: str
    urls: tuple[str, ...]
    sha256: str


@dataclass(frozen=True)
class Module:
    """One module of the closure; the schema says what each field means."""

    module: str
    short_module: str
    subdir: str
    install_subdir: str
    easyconfig: str
    name: str
    version: str
    versionsuffix: str
    moduleclass: str
    easyblock: str
    wrapper: bool
    runtime: bool
    installed: bool
    built: Built | None
    toolchain: Toolchain
    dependencies: tuple[Edge, ...]
    cuda: tuple[str, ...]
    amdgcn: tuple[str, ...]
    homepage: str
    description: str
    license: str
    sources: tuple[Material, ...]
    patches: tuple[Material, ...]
    parts: tuple[Part, ...]
    extensions: tuple[Part, ...]
    osdependencies: tuple[tuple[str, ...], ...]
    module_variables: Mapping[str, str]
    module_paths: Mapping[str, tuple[str, ...]]

    @property
    def is_system_or_parts(self) -> bool:
        """Whether links to the system's own are installed where it has it, and the parts only where it has not.

        Which of the two a build gives, the easyconfig does not say (easyblocks/o/openssl_wrapper.py).
        """
        return self.easyblock == "EB_OpenSSL_wrapper"


@dataclass(frozen=True)
class Record:
    """A whole record.

    Attributes:
        digest: ``sha256:…`` of its bytes.
        state: ``planned`` or ``installed``.
        easybuild: EasyBuild's version.
        session: what a build by the recording session is told.
        host_family: family of the recording host: ``x86_64``, ``AArch64``, ….
        host_os: os-release's ID and VERSION_ID of the recording host; None when not known.
        options: EasyBuild's options, value by name.
        requested: the module that was asked for.
        modules: every module by its full name.
        load_paths: below the folder of all modules; load_modules: in order.
        environment: values by variable, as ``module load`` sets them; None while planned.
        files: places in the recipe's folder; missing: places of files that were not found.
    """

    digest: str
    state: str
    easybuild: str
    session: Built
    host_family: str
    host_os: tuple[str, str] | None
    options: Mapping[str, str]
    requested: str
    modules: Mapping[str, Module]
    load_paths: tuple[str, ...]
    load_modules: tuple[str, ...]
    environment: Mapping[str, tuple[str, ...]] | None
    files: tuple[str, ...]
    missing: tuple[str, ...]
