"""The code of a whole tree, analysed in the background while the walk goes on.

Objects are independent: with several jobs they are analysed by processes, a bounded number of them at a time. What
waits for a process is small or lies in a temporary file, so that memory stays bounded too.
"""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from hpc3.facts import Unknown
from hpc3.observed import CpuUse, Skipped

from .elf import ElfObject
from .isa import FAMILIES, ObjectUse, analyse, merge, not_analysed

_IN_MEMORY = 2 << 20  # of a file that waits for a process


class Disassembly:
    """Takes ELF files as the walk meets them and analyses their code in the background.

    A context manager: leaving it ends the processes.
    """

    def __init__(self, jobs: int = 0, progress: Callable[[int], None] | None = None) -> None:
        self._jobs = jobs or len(os.sched_getaffinity(0))
        self._pool = ProcessPoolExecutor(self._jobs) if self._jobs > 1 else None
        self._running: list[tuple[_Copy, Future[ObjectUse]]] = []
        self._done: list[ObjectUse] = []
        self._families: set[str] = set()
        self._progress = progress
        self._code_bytes = 0

    def __enter__(self) -> Disassembly:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        for copy, _ in self._running:
            copy.delete()

    def visit(self, stream: BinaryIO, elf: ElfObject, path: str) -> None:
        """Take one ELF file; returns once a process is free for it."""
        if elf.kind not in ("executable", "library"):
            return
        self._families.add(elf.family)
        if elf.family not in FAMILIES:
            return
        if self._pool is None:
            self._take(analyse(stream, elf, path))
            return
        while len(self._running) >= 2 * self._jobs:
            self._await_oldest()
        try:
            copy = _copy(stream, elf, path)
        except OSError as error:
            self._take(not_analysed(elf, path, f"no copy for another process: {error}"))
            return
        try:
            self._running.append((copy, self._pool.submit(_analyse_copy, copy)))
        except BrokenProcessPool:
            self._take(copy.lost())
            copy.delete()

    def result(self) -> tuple[CpuUse | Unknown, tuple[Skipped, ...]]:
        """Wait for the rest and return what all of the code uses, and what was not analysed."""
        while self._running:
            self._await_oldest()
        skipped = [Skipped(f"/{use.path}", use.trouble) for use in self._done if use.trouble]
        by_family: dict[str, list[ObjectUse]] = {}
        for use in sorted(self._done, key=lambda use: use.family):
            by_family.setdefault(use.family, []).append(use)
        if not by_family:
            foreign = ", ".join(sorted(self._families))
            return Unknown(f"code for {foreign} is not disassembled" if foreign else "there is no code"), ()
        # what else lies in an image (a cross compiler's libraries) does not run there
        main = max(by_family, key=lambda family: sum(use.code_bytes for use in by_family[family]))
        for family, uses in by_family.items():
            if family != main:
                skipped.append(Skipped(f"/{uses[0].path}", f"is {family} code, beside that for {main}: not compared"))
        return merge(main, by_family[main]), tuple(skipped)

    def _await_oldest(self) -> None:
        copy, future = self._running.pop(0)
        try:
            self._take(future.result())
        except BrokenProcessPool:
            self._take(copy.lost())
        finally:
            copy.delete()

    def _take(self, use: ObjectUse) -> None:
        self._done.append(use)
        self._code_bytes += use.code_bytes
        if self._progress is not None:
            self._progress(self._code_bytes)


@dataclass(frozen=True)
class _Copy:
    """An ELF file on its way to another process: in memory, or if large, in a temporary file."""

    path: str
    elf: ElfObject
    content: bytes
    file: str

    def open(self) -> BinaryIO:
        return Path(self.file).open("rb") if self.file else io.BytesIO(self.content)

    def delete(self) -> None:
        if self.file:
            Path(self.file).unlink(missing_ok=True)

    def lost(self) -> ObjectUse:
        return not_analysed(self.elf, self.path, "the process died, perhaps for want of memory")


def _copy(stream: BinaryIO, elf: ElfObject, path: str) -> _Copy:
    stream.seek(0)
    content = stream.read(_IN_MEMORY + 1)
    if len(content) <= _IN_MEMORY:
        return _Copy(path, elf, content, "")
    with tempfile.NamedTemporaryFile(prefix="hpc3-", delete=False) as file:
        try:
            file.write(content)
            shutil.copyfileobj(stream, file, _IN_MEMORY)
        except BaseException:
            Path(file.name).unlink()
            raise
    return _Copy(path, elf, b"", file.name)


def _analyse_copy(copy: _Copy) -> ObjectUse:
    try:
        with copy.open() as stream:
            return analyse(stream, copy.elf, copy.path)
    except OSError as error:
        return not_analysed(copy.elf, copy.path, f"the copy cannot be read: {error}")
