"""Start an image in every way that HPC users and engines start one, and hold what happens against the contract.

The image runs without network and with nothing of the host mounted. It is untrusted: only its exit code and a
bounded piece of its output are read.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hpc3.errors import StoreError
from hpc3.vocabulary import key, vocabulary

from .finding import Finding, finding
from .subject import Subject

_SECONDS = 120
_OUTPUT = 1 << 20
_ARGUMENTS = ("a b", "$HOME", "*", "it's")
_PRINT_ARGUMENTS = 'for word in "$@"; do printf "%s\\n" "$word"; done'
_SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
#: Somebody whom the image does not know, as on an HPC system.
_STRANGER = "54321:54321"


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


@dataclass(frozen=True)
class Engine:
    """A container engine of podman's command line, with the global options that reach its storage."""

    command: tuple[str, ...]

    def run(self, image: str, arguments: Sequence[str], *options: str, stdin: str = "") -> Run:
        """Start the image once.

        Raises:
            StoreError: the engine itself could not start it, or it did not end in time.
        """
        command = [*self.command, "run", "--rm", "-i", "--pull=never", "--network=none", *options, image, *arguments]
        try:
            done = subprocess.run(command, input=stdin.encode(), capture_output=True, timeout=_SECONDS, check=False)
        except subprocess.TimeoutExpired as error:
            raise StoreError(f"did not end within {_SECONDS} seconds", where=image) from error
        except OSError as error:
            raise StoreError(f"{self.command[0]} does not start: {error.strerror}", where=image) from error
        texts = [stream[:_OUTPUT].decode("utf-8", "replace") for stream in (done.stdout, done.stderr)]
        if done.returncode == 125:  # podman-run(1): the error is with podman itself
            raise StoreError(f"{self.command[0]} cannot start it: {texts[1].strip()[-300:]}", where=image)
        return Run(done.returncode, *texts)


def check_start_modes(engine: Engine, image: str, subject: Subject) -> Iterator[Finding]:
    """Yield what breaks the contract when the image is started.

    Raises:
        StoreError: the engine could not start it at all.
    """
    path = subject.environment().get("PATH", "")
    yield from _command(engine, image)
    yield from _shell(engine, image)
    yield from _login_path(engine, image, path)
    yield from _bypassed(engine, image, path)
    yield from _stranger(engine, image)
    yield from _smoke_test(engine, image, subject)


def _command(engine: Engine, image: str) -> Iterator[Finding]:
    run = engine.run(image, ["sh", "-c", _PRINT_ARGUMENTS, "sh", *_ARGUMENTS])
    if run.code != 0:
        yield finding("HPC601", image, command="sh -c …", detail=run.trouble())
    elif run.output.splitlines()[-len(_ARGUMENTS) :] != list(_ARGUMENTS):
        given, got = json.dumps(_ARGUMENTS), json.dumps(run.output.splitlines())
        yield finding("HPC602", image, command="sh -c … ARGUMENTS", detail=f"{given} became {got}")


def _shell(engine: Engine, image: str) -> Iterator[Finding]:
    run = engine.run(image, [], stdin="echo hpc3-$((40 + 2))\n")
    if run.code != 0 or "hpc3-42" not in run.output:
        yield finding("HPC606", image, detail=run.trouble())


def _login_path(engine: Engine, image: str, path: str) -> Iterator[Finding]:
    run = engine.run(image, ["sh", "-lc", 'printf "%s" "$PATH"'])
    missing = _missing(path, run.output)
    if run.code == 0 and missing:
        yield finding("HPC603", image, value=missing)


def _bypassed(engine: Engine, image: str, path: str) -> Iterator[Finding]:
    usual = engine.run(image, ["sh", "-c", 'printf "%s" "$PATH"'])
    run = engine.run(image, ["-c", 'printf "%s" "$PATH"'], "--entrypoint", "sh")
    missing = _missing(usual.output if usual.code == 0 else path, run.output)
    if missing:
        yield finding("HPC604", image, value=missing)


def _stranger(engine: Engine, image: str) -> Iterator[Finding]:
    options = ("--user", _STRANGER, "--read-only", "--read-only-tmpfs=false", "--env", "HOME=/nowhere")
    run = engine.run(image, ["sh", "-lc", "exit 0"], *options)
    if run.code != 0:
        yield finding("HPC605", image, detail=run.trouble())


def _smoke_test(engine: Engine, image: str, subject: Subject) -> Iterator[Finding]:
    name = key("smoketest.command")
    stated = subject.stated().get(name, "")
    if stated and not vocabulary()[name].fault(stated):
        run = engine.run(image, json.loads(stated))
        if run.code != 0:
            yield finding("HPC607", image, detail=run.trouble())


def _missing(wanted: str, got: str) -> str:
    """Return the folders of one PATH that another lacks; the system's own differ between login and no login."""
    there = {*got.split(":"), *_SYSTEM_FOLDERS}
    return ":".join(folder for folder in wanted.split(":") if folder and folder not in there)
