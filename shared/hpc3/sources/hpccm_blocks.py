"""From the layers of a recipe to components: what each building block installs, in the words of Spack's packages.

The words are Spack's so that the tables of MPIs, ABIs, PMIs and fabrics hold for these components too. What a block was
told is read from its part of the Dockerfile: the options that configure and CMake get.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from hpc3.facts import Component, External, PackageMetadata
from hpc3.tables import Row, rows

from .hpccm_answer import Answer, Layer

#: A source archive: ``gromacs-2024.1.tar.gz``, ``v2024.1.zip``.
_ARCHIVE = re.compile(
    r"(?:(?P<name>[A-Za-z][A-Za-z0-9_+-]*?)[-_])?v?(?P<version>[0-9][A-Za-z0-9._+~-]*?)\.(?:tar\.[a-z0-9]+|tgz|tbz2?|txz|zip)"
)
#: An archive that GitHub or GitLab makes of a tag: the repository has the name.
_REPOSITORY = re.compile(r"https://[^/]+/(?:[^/]+/)+?(?P<name>[A-Za-z][^/]*?)(?:\.git|/-)?(?:/archive/.*)?")
_TAG = re.compile(r"v?(?P<version>[0-9].*)")

#: ``--with-ucx=/usr/local/ucx`` of configure, ``-D GMX_MPI=ON`` of CMake.
_CONFIGURE_OPTION = re.compile(r"(?<=\s)--(?P<name>[a-z][\w-]*)(?:=(?P<value>\S+))?")
_CMAKE_OPTION = re.compile(r"(?<=\s)-D\s*(?P<name>\w+)(?::\w+)?=(?P<value>\"[^\"]*\"|'[^']*'|\S+)")

_CMAKE_TRUE = frozenset(("1", "on", "yes", "true", "y"))


@dataclass(frozen=True)
class Installed:
    """What one layer installs.

    Attributes:
        layer: the layer.
        place: where it stands, such as ``Stage0[5]``.
        kind: as in the table of blocks; ``base``: the base image brings it.
        component: it, in Spack's words.
    """

    layer: Layer
    place: str
    kind: str
    component: Component


def installed_by(answer: Answer) -> tuple[Installed, ...]:
    """Return what the layers install, in their order; only what has a name."""
    of_image = answer.image_stages()
    copied = tuple(_copied(answer.stages[number] for number in of_image))
    return tuple(
        found
        for number, stage in enumerate(answer.stages)
        for position, layer in enumerate(stage)
        for found in _installed(
            layer, f"Stage{number}[{position}]", is_image=number in of_image or _is_below(layer.word("prefix"), copied)
        )
    )


def _copied(stages: Iterable[Sequence[Layer]]) -> Iterator[str]:
    """Return the paths that stages copy from others by hand."""
    for layer in (layer for stage in stages for layer in stage):
        if layer.kind == "primitive" and layer.name == "copy" and layer.word("from"):
            yield from (path.rstrip("/") for path in (layer.word("src"), *layer.words("src")) if path)


def _is_below(prefix: str, folders: Sequence[str]) -> bool:
    return bool(prefix) and any(prefix == folder or prefix.startswith(f"{folder}/") for folder in folders)


def block_row(layer: Layer) -> Row | None:
    """Return what the table knows of a building block; None for other layers."""
    if layer.kind != "block":
        return None
    return next((row for row in rows("hpccm_blocks") if row["block"] == layer.name), None)


def base_image_rows(image: str) -> Iterator[tuple[Row, str]]:
    """Return the GPU runtimes that a public base image brings, each with its version."""
    name, _, tag = image.partition("@")[0].rpartition(":")
    for row in rows("gpu_base_images"):
        version = re.match(row["tag"], tag)
        if version and (name == row["repository"] or name.endswith(f"/{row['repository']}")):
            yield row, version.group(1)


def _installed(layer: Layer, place: str, *, is_image: bool) -> Iterator[Installed]:
    row = block_row(layer)
    if layer.name == "baseimage" and layer.kind == "primitive":
        for base, version in base_image_rows(layer.word("image")):
            package = str(base["package"])
            component = Component(f"{package}@{version}", package, version, runtime=is_image, external=External(""))
            yield Installed(layer, place, "base", component)
    if row is None:
        return
    name, version = (row["package"], _version(layer)) if row["package"] else _name_and_version(layer)
    if row["kind"] in ("generic", "software", "compiler", "open") and name:
        component = Component(
            id=f"{name}@{version}" if version else name,
            name=name,
            version=version,
            # Of a compiler, the runtime part is a few libraries.
            runtime=is_image or (layer.runtime and row["kind"] != "compiler"),
            root=row["kind"] == "generic",
            variants=dict(_variants(name, options_of(layer))),
            metadata=PackageMetadata(source_url=_source_url(layer)),
        )
        yield Installed(layer, place, str(row["kind"]), component)


def _version(layer: Layer) -> str:
    """Return the version that a block installs; empty where nothing tells: a branch, an archive of another name."""
    if layer.word("repository"):
        return layer.word("commit") or layer.word("branch")
    version = layer.word("version")
    source = layer.word("url") or layer.word("package")
    return version if not source or version in source else ""


def _name_and_version(layer: Layer) -> tuple[str, str]:
    """Return what a generic block builds: as its annotations say, else as the archive or the repository is called."""
    name, version = _named_by_source(layer)
    annotations = layer.attributes.get("annotations")
    stated = annotations.get("version") if isinstance(annotations, dict) else None
    return (layer.word("base_annotation") or name).lower(), stated if isinstance(stated, str) else version


def _named_by_source(layer: Layer) -> tuple[str, str]:
    repository = _REPOSITORY.fullmatch(layer.word("repository").rstrip("/"))
    if layer.word("repository"):
        ref = layer.word("commit") or layer.word("branch")
        tag = _TAG.fullmatch(ref)
        return repository["name"] if repository else "", tag["version"] if tag and not layer.word("commit") else ref
    source = layer.word("url") or layer.word("package")
    archive = _ARCHIVE.fullmatch(source.rpartition("/")[2].partition("?")[0])
    if archive is None:
        return "", ""
    repository = _REPOSITORY.fullmatch(source) if "/archive/" in source else None
    return repository["name"] if repository else archive["name"] or "", archive["version"]


def _source_url(layer: Layer) -> str:
    url = layer.word("url") or layer.word("repository")
    return url if url.startswith(("http://", "https://")) else ""


def options_of(layer: Layer) -> dict[str, str]:
    """Return what configure and CMake are told, value by option; empty for a switch."""
    text = layer.text.replace("\\\n", " ")
    found = [*_CONFIGURE_OPTION.finditer(text), *_CMAKE_OPTION.finditer(text)]
    return {option["name"]: (option["value"] or "").strip("\"'") for option in found}


def _variants(package: str, options: dict[str, str]) -> Iterator[tuple[str, object]]:
    lists: dict[str, set[str]] = {}
    for row in rows("hpccm_options"):
        value = options.get(row["option"])
        if row["package"] not in ("", package) or value is None or not _equals(value, row["equals"]):
            continue
        if row["value"] == "":
            lists.setdefault(row["variant"], set()).update(_architectures(value))
        elif row["variant"] == "fabrics":
            lists.setdefault("fabrics", set()).add(row["value"])
        else:
            yield row["variant"], row["value"]
    if "cuda_arch" in lists:
        yield "cuda", True
    if package == "mpich" and not {"with-pmi", "with-pmix"} & set(options):
        yield "pmi", "default"
    yield from ((variant, tuple(sorted(values))) for variant, values in lists.items())


def _equals(value: str, wanted: str) -> bool:
    return wanted in ("", value.lower()) or (wanted == "on" and value.lower() in _CMAKE_TRUE)


def _architectures(value: str) -> Iterator[str]:
    """Return the architectures of native code: ``80;90-real``; ``90-virtual`` is PTX alone, ``native`` says nothing."""
    for item in re.split(r"[;, ]+", value):
        architecture = re.fullmatch(r"([0-9]{2,3}[af]?)(?:-real)?", item)
        if architecture:
            yield architecture.group(1)
