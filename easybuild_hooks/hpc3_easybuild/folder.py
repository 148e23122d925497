"""The folder of a requested easyconfig: what is written into it, each file whole or not at all.

Several ``eb`` may write the same folder at once (``--job``, a person in a hurry): each file is moved into its place,
and none is read back.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpc3.errors import Hpc3Error, printable

from .local_files import LocalFile

if TYPE_CHECKING:  # what makes the products is imported when there is something to make them from
    from hpc3.sources.source import Source


def write_folder(output: Path, record: Mapping[str, Any], files: Iterable[LocalFile]) -> tuple[Path, list[str]]:
    """Write the folder of a requested easyconfig below ``output``.

    A product that cannot be made (two MPIs, say) is left out, and ``faults.json`` says why.

    Returns:
        The folder, and the faults.

    Raises:
        OSError: the folder cannot be written.
    """
    from hpc3.sources.easybuild_source import source_from_record

    folder = output / _folder_name(record)
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {entry["place"] for entry in record["files"] if entry["sha256"]}
    for file in files:
        if file.path is not None and file.place in wanted:
            _copy(file.path, folder / file.place)
    data = encoded(record)
    _write(folder / "record.json", data)
    faults: list[str] = []
    try:
        source = source_from_record(data, folder / "record.json")
    except Hpc3Error as error:
        faults.append(str(error))
    else:
        for name, product in _products(source).items():
            try:
                _write(folder / name, product().encode("utf-8"))
            except Hpc3Error as error:
                faults.append(f"{name}: {error}")
    _write_faults(folder / "faults.json", faults)
    return folder, faults


def _write_faults(path: Path, faults: list[str]) -> None:
    if faults:
        write_json(path, {"format": "hpc3-easybuild-faults", "version": 1, "faults": faults})
    else:
        path.unlink(missing_ok=True)


def write_fault(output: Path, what: str, reason: str) -> None:
    """Leave a file that says what was not recorded, and why."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", what)[:100].strip(".-")
    fault = {"format": "hpc3-easybuild-fault", "version": 1, "of": what, "fault": printable(reason)}
    # Where even this cannot be written, the warning on the terminal has said it.
    with contextlib.suppress(OSError):
        write_json(output / f"{name}.fault.json", fault)


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON file, with its folder where that is missing.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, encoded(document))


def encoded(document: Mapping[str, Any]) -> bytes:
    """Return a document as JSON text: one field a line, one module a line; the same document gives the same bytes.

    Indenting all of it would be Python's own encoder, ten times slower than the one in C.
    """
    fields = [f" {json.dumps(name)}: {_encoded_field(value)}" for name, value in document.items()]
    return ("{\n" + ",\n".join(fields) + "\n}\n").encode("ascii")


def _encoded_field(value: object) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join(f"  {json.dumps(item)}" for item in value) + "\n ]"
    return json.dumps(value)


def _products(source: Source) -> dict[str, Callable[[], str]]:
    from hpc3.annotations import annotations_for
    from hpc3.containerize import RecipeOptions, annotations_json, recipe_from_source
    from hpc3.sbom.cyclonedx import cyclonedx_sbom
    from hpc3.sbom.spdx import spdx_sbom

    return {
        "annotations.json": lambda: annotations_json(annotations_for(source.facts)),
        "Dockerfile": lambda: recipe_from_source(source, RecipeOptions()).text,
        "sbom.cdx.json": lambda: cyclonedx_sbom(source.facts),
        "sbom.spdx.json": lambda: spdx_sbom(source.facts),
    }


def _folder_name(record: Mapping[str, Any]) -> str:
    requested = record["requested"][0]
    name = next(entry["easyconfig"] for entry in record["modules"] if entry["module"] == requested)
    return str(name).removesuffix(".eb").lstrip(".") or "easyconfig"


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with _replacing(target) as temporary:
        shutil.copyfile(source, temporary)


def _write(target: Path, data: bytes) -> None:
    with _replacing(target) as temporary:
        temporary.write_bytes(data)


@contextlib.contextmanager
def _replacing(target: Path) -> Any:
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
