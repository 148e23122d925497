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
from typing import Any

from hpc3.errors import Hpc3Error, printable

from .local_files import LocalFile


def write_folder(output: Path, record: dict[str, Any], files: Iterable[LocalFile]) -> tuple[Path, list[str]]:
    """Write the folder of a requested easyconfig below ``output``.

    A product that cannot be made (two MPIs, say) is left out, and the record says why.

    Returns:
        The folder, and the faults.

    Raises:
        OSError: the folder cannot be written.
    """
    from hpc3.sources.easybuild_record import facts_from_record, parse_record

    folder = output / _folder_name(record)
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {entry["place"] for entry in record["files"] if entry["sha256"]}
    for file in files:
        if file.path is not None and file.place in wanted:
            _copy(file.path, folder / file.place)
    faults: list[str] = []
    data = encoded(record)
    try:
        facts = facts_from_record(parse_record(data))
    except Hpc3Error as error:
        faults.append(str(error))
    else:
        for name, product in _products(facts, data).items():
            try:
                _write(folder / name, product())
            except Hpc3Error as error:
                faults.append(f"{name}: {error}")
    record["faults"] = faults
    _write(folder / "record.json", encoded(record))
    return folder, faults


def write_fault(output: Path, what: str, error: Exception) -> None:
    """Leave a file that says what was not recorded, and why."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", what)[:100].strip(".-")
    fault = {"format": "hpc3-easybuild-fault", "version": 1, "of": what, "fault": printable(str(error))}
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
    """Return a document as JSON text; the same document gives the same bytes."""
    return (json.dumps(document, indent=1, ensure_ascii=True) + "\n").encode("ascii")


def _products(facts: Any, record: bytes) -> dict[str, Callable[[], bytes]]:  # noqa: ANN401
    return {}


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
def _replacing(target: Path) -> Any:  # noqa: ANN401
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
