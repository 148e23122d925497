"""The engines that ``validate --run`` starts an image with, each by its own command line.

The image is untrusted: it runs without network and with nothing of the host mounted that the engine can leave out, and
only its exit code and the beginning of its output are kept.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import IO, Any, Protocol, cast

from hpc3.errors import StoreError, printable

_SECONDS = 120
_OUTPUT = 1 << 20
_CHUNK = 1 << 16
#: Of a shell that reads its commands, chroot isolation lost what it printed in 7 of 300 starts (1.28, tried).
_BUILDAH_TRIES = 3
#: Somebody whom the image does not know, as on an HPC system.
_STRANGER = "54321:54321"
#: What podman says where the runtime did not get as far as the image's command, though it ends with 126 or 127.
_OF_RUNTIME = re.compile(r"Error: (crun|runc|OCI runtime)\b")
#: Where such a runtime blames the image: its command, or the working directory that somebody may not enter.
_OF_IMAGE = re.compile(
    r"executable file|open executable|\bexec(?:ve)?: |exec container process|\bcwd\b|\bchdir\b(?! to newroot| to /|\()",
    re.IGNORECASE,
)


class NotShown(Exception):
    """An engine has no such way to start an image; the message says why."""


@dataclass(frozen=True)
class Start:
    """One way to start an image.

    Attributes:
        arguments: behind the image's name; empty: none.
        stdin: what it reads.
        bypass: whether the entrypoint is passed by, as ``exec`` does.
        stranger: whether an unknown user without a home starts it, on a read-only file system.
    """

    arguments: tuple[str, ...] = ()
    stdin: str = ""
    bypass: bool = False
    stranger: bool = False


@dataclass(frozen=True)
class Run:
    """What one start gave: exit code, and the beginning of both outputs."""

    code: int
    output: str
    errors: str

    def trouble(self) -> str:
        """Return exit code and last line of the errors, for a message."""
        lines = self.errors.strip().splitlines()
        return f"exit code {self.code}" + (f", {lines[-1]}" if lines else "")


class Engine(Protocol):
    """An engine with one image to start."""

    @property
    def image(self) -> str:
        """The image's name, as the engine knows it."""

    def start(self, start: Start) -> Run:
        """Start the image once.

        Raises:
            NotShown: the engine cannot start it in this way.
            StoreError: the engine itself fails, or the image does not end in time.
        """


@contextmanager
def open_engine(command: Sequence[str], image: str) -> Iterator[Engine]:
    """Give access to an image in an engine, which is told by the name of the command's program.

    Args:
        command: the engine, with the global options that reach its storage.
        image: what the engine knows it by: a name; for Apptainer also a file, for Charliecloud a folder.

    Raises:
        StoreError: the engine does not know the image.
    """
    name = Path(command[0]).name
    if name == "buildah":
        with _working_container(command, image) as engine:
            yield engine
    elif name in ("apptainer", "singularity"):
        yield Apptainer(tuple(command), image)
    elif name == "ch-run":
        yield Charliecloud(tuple(command), image)
    else:
        yield Podman(tuple(command), image)


@dataclass(frozen=True)
class Podman:
    """podman, and what has its command line: docker, podman-hpc."""

    command: tuple[str, ...]
    image: str

    def start(self, start: Start) -> Run:
        """Start the image once; see `Engine.start`."""
        options: list[str] = []
        arguments = list(start.arguments)
        if start.bypass:
            options += ["--entrypoint", arguments.pop(0)]
        if start.stranger:
            options += ["--user", _STRANGER, "--read-only", "--read-only-tmpfs=false", "--env", "HOME=/nowhere"]
        fixed = ("run", "--rm", "-i", "--pull=never", "--network=none")
        run = _run([*self.command, *fixed, *options, self.image, *arguments], start.stdin, self.image)
        if run.code == 125 or _is_of_runtime(run):  # podman-run(1): the error is with podman itself
            raise _failure(self.command[0], self.image, run)
        return run


@dataclass(frozen=True)
class Buildah:
    """A working container of buildah, whose ``run`` knows neither entrypoint nor command: they are put before it here.

    Attributes:
        command: buildah with its global options.
        image: the image's name.
        container: the working container's name.
        config: the image configuration's ``config`` object.
    """

    command: tuple[str, ...]
    image: str
    container: str
    config: Mapping[str, Any]

    def start(self, start: Start) -> Run:
        """Start the image once; see `Engine.start`. The file system stays writable."""
        stranger = ["--user", _STRANGER, "--env", "HOME=/nowhere"] if start.stranger else []
        cut_off, network = _without_network()
        command = [*cut_off, *self.command, "run", "--network", network, *stranger, self.container, "--"]
        for _ in range(_BUILDAH_TRIES if start.stdin else 1):
            run = _run([*command, *_argv(start, self.config)], start.stdin, self.image)
            if run.output or run.code:
                break
        if run.code == 125 or "error running container:" in run.errors:
            raise _failure(self.command[0], self.image, run)
        return run


@dataclass(frozen=True)
class Apptainer:
    """Apptainer or Singularity; the image is a SIF or whatever else its command line takes."""

    command: tuple[str, ...]
    image: str

    def start(self, start: Start) -> Run:
        """Start the image once; see `Engine.start`. It is always read-only, and of the user who calls."""
        if start.stranger and os.getuid() == 0:
            raise NotShown("it starts an image as the user who calls, and that is root")
        verb = "exec" if start.bypass else "run"
        # --containall: neither home nor environment nor /tmp of the host (Apptainer User Guide, Bind Paths and Mounts).
        fixed = (verb, "--containall", "--net", "--network", "none")
        run = _run([*self.command, *fixed, self.image, *start.arguments], start.stdin, self.image)
        if run.code == 255 and run.errors.lstrip().startswith("FATAL:"):
            raise _failure(self.command[0], self.image, run)
        return run


@dataclass(frozen=True)
class Charliecloud:
    """``ch-run``, which has no entrypoint and no default command; the image is a folder, or a file of SquashFS."""

    command: tuple[str, ...]
    image: str

    def start(self, start: Start) -> Run:
        """Start the image once; see `Engine.start`. It is always read-only."""
        if not start.arguments:
            raise NotShown("it always asks for a command")
        environment = Path(self.image) / "ch/environment"
        options = ["--private-tmp", "--no-passwd"]
        options += [f"--set-env={environment}"] if environment.is_file() else []
        options += [f"--{kind}id={number}" for kind, number in zip("ug", _STRANGER.split(":")) if start.stranger]
        cut_off = ["unshare", "--net"] if os.getuid() == 0 else ["unshare", "--map-current-user", "--net"]
        run = _run([*cut_off, *self.command, *options, self.image, "--", *start.arguments], start.stdin, self.image)
        if run.errors.startswith("ch-run[") and "can't execve" not in run.errors:
            raise _failure(self.command[0], self.image, run)
        return run


@contextmanager
def _working_container(command: Sequence[str], image: str) -> Iterator[Buildah]:
    described = _output([*command, "inspect", "--type", "image", image], image)
    try:
        config = json.loads(described)["OCIv1"].get("config") or {}
    except (ValueError, KeyError, AttributeError) as error:
        raise StoreError(f"{command[0]} inspect does not describe it", where=image) from error
    container = _output([*command, "from", "--pull-never", image], image).strip()
    try:
        yield Buildah(tuple(command), image, container, config)
    finally:
        _output([*command, "rm", container], image)


def _without_network() -> tuple[list[str], str]:
    """Return what goes before buildah and what to give as its network; its chroot isolation only takes the host's.

    Raises:
        StoreError: nothing cuts the image off.
    """
    if os.environ.get("BUILDAH_ISOLATION") != "chroot":
        return [], "none"
    if os.getuid() != 0:
        raise StoreError("chroot isolation shares the host's network", remedy="unset BUILDAH_ISOLATION")
    return ["unshare", "--net"], "host"


def _argv(start: Start, config: Mapping[str, Any]) -> list[str]:
    """Return what an engine executes (image-spec, config.md: Entrypoint, Cmd)."""
    if start.bypass:
        return list(start.arguments)
    entrypoint, command = (value if isinstance(value, list) else [] for value in map(config.get, ("Entrypoint", "Cmd")))
    argv = [str(word) for word in (*entrypoint, *(start.arguments or command))]
    if not argv:
        raise NotShown("the image says not what to start")
    return argv


def _is_of_runtime(run: Run) -> bool:
    """Whether the runtime failed before it came to what the image brings: then nothing can be said of the image."""
    is_told = run.code in (126, 127) and _OF_RUNTIME.match(run.errors.lstrip())
    return bool(is_told) and not _OF_IMAGE.search(run.errors)


def _output(command: Sequence[str], image: str) -> str:
    run = _run(command, "", image)
    if run.code != 0:
        raise _failure(command[0], image, run)
    return run.output


def _failure(engine: str, image: str, run: Run) -> StoreError:
    return StoreError(f"{Path(engine).name} cannot start it: {printable(run.errors.strip()[-300:])}", where=image)


def _run(command: Sequence[str], stdin: str, image: str) -> Run:
    """Run a command; of what it prints only the beginning is kept, however much that is."""
    pipe = subprocess.PIPE
    kept = (bytearray(), bytearray())
    try:
        with _file_of(stdin) as given:
            process = subprocess.Popen(command, stdin=given, stdout=pipe, stderr=pipe)
    except OSError as error:
        raise StoreError(f"{command[0]} does not start: {error.strerror}", where=image) from error
    streams = cast("tuple[IO[bytes], IO[bytes]]", (process.stdout, process.stderr))
    readers = [Thread(target=_keep_beginning, args=each, daemon=True) for each in zip(streams, kept)]
    for reader in readers:
        reader.start()
    try:
        code = process.wait(_SECONDS)
    except subprocess.TimeoutExpired as error:
        process.kill()
        process.wait()
        raise StoreError(f"did not end within {_SECONDS} seconds", where=image) from error
    for reader in readers:
        reader.join(_SECONDS)
    return Run(code, *(part.decode("utf-8", "replace") for part in kept))


@contextmanager
def _file_of(text: str) -> Iterator[IO[bytes]]:
    """Give a file to read the text from."""
    with tempfile.TemporaryFile() as file:
        file.write(text.encode())
        file.seek(0)
        yield file


def _keep_beginning(stream: IO[bytes], kept: bytearray) -> None:
    with stream:  # closed here: what a killed engine leaves behind may hold it open for long
        while chunk := stream.read(_CHUNK):
            kept += chunk[: _OUTPUT - len(kept)]
