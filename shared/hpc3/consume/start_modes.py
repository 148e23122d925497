"""Start an image in every way that HPC users and engines start one, and hold what happens against the contract."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping

from hpc3.vocabulary import key, vocabulary

from .container_engines import Engine, NotShown, Run, Start
from .finding import Finding, finding
from .subject import Subject

_ARGUMENTS = ("a b", "$HOME", "*", "it's")
_PRINT_ARGUMENTS = 'for word in "$@"; do printf "%s\\n" "$word"; done'
#: On a line of its own, with a mark: entrypoints and profiles print, too.
_PRINT_PATH = 'printf "\\nhpc3-path=%s\\n" "$PATH"'
_PATH_PRINTED = re.compile(r"^hpc3-path=(.*)$", re.MULTILINE)
_SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


def check_start_modes(engine: Engine, subject: Subject) -> Iterator[Finding]:
    """Yield what breaks the contract when the image is started, and which starts the engine cannot show.

    Raises:
        StoreError: the engine could not start it at all.
    """
    for mode, check in _CHECKS.items():
        try:
            yield from check(engine, subject)
        except NotShown as reason:
            yield finding("HPC608", engine.image, mode=mode, reason=str(reason))


def _command(engine: Engine, subject: Subject) -> Iterator[Finding]:
    run = engine.start(Start(("sh", "-c", _PRINT_ARGUMENTS, "sh", *_ARGUMENTS)))
    if run.code != 0:
        yield finding("HPC601", engine.image, command="sh -c …", detail=run.trouble())
    elif run.output.splitlines()[-len(_ARGUMENTS) :] != list(_ARGUMENTS):
        given, got = json.dumps(_ARGUMENTS), json.dumps(run.output.splitlines())
        yield finding("HPC602", engine.image, command="sh -c … ARGUMENTS", detail=f"{given} became {got}")


def _shell(engine: Engine, subject: Subject) -> Iterator[Finding]:
    run = engine.start(Start(stdin="echo hpc3-$((40 + 2))\n"))
    if run.code != 0 or "hpc3-42" not in run.output:
        yield finding("HPC606", engine.image, detail=run.trouble())


def _login_path(engine: Engine, subject: Subject) -> Iterator[Finding]:
    run = engine.start(Start(("sh", "-lc", _PRINT_PATH)))
    path = _printed_path(run)
    missing = "" if path is None else _missing(_stated_path(subject), path)
    if missing:
        yield finding("HPC603", engine.image, value=missing)


def _bypassed(engine: Engine, subject: Subject) -> Iterator[Finding]:
    usual = engine.start(Start(("sh", "-c", _PRINT_PATH)))
    run = engine.start(Start(("sh", "-c", _PRINT_PATH), bypass=True))
    wanted = _printed_path(usual)
    missing = _missing(_stated_path(subject) if wanted is None else wanted, _printed_path(run) or "")
    if missing:
        yield finding("HPC604", engine.image, value=missing)


def _stranger(engine: Engine, subject: Subject) -> Iterator[Finding]:
    run = engine.start(Start(("sh", "-lc", "exit 0"), stranger=True))
    if run.code != 0:
        yield finding("HPC605", engine.image, detail=run.trouble())


def _smoke_test(engine: Engine, subject: Subject) -> Iterator[Finding]:
    name = key("smoketest.command")
    stated = subject.stated().get(name, "")
    if stated and not vocabulary()[name].fault(stated):
        run = engine.start(Start(tuple(json.loads(stated))))
        if run.code != 0:
            yield finding("HPC607", engine.image, detail=run.trouble())


#: What a user does, to the check of what then happens.
_CHECKS: Mapping[str, Callable[[Engine, Subject], Iterator[Finding]]] = {
    "IMAGE COMMAND ARGUMENTS": _command,
    "IMAGE alone": _shell,
    "a login shell in a job script": _login_path,
    "the entrypoint bypassed": _bypassed,
    "another user on a read-only root": _stranger,
    "the smoke test": _smoke_test,
}


def _stated_path(subject: Subject) -> str:
    return subject.environment().get("PATH", "")


def _printed_path(run: Run) -> str | None:
    """Return the PATH that a start printed; None where its command did not run, or not to its end."""
    printed: list[str] = _PATH_PRINTED.findall(run.output) if run.code == 0 else []
    return printed[-1] if printed else None


def _missing(wanted: str, got: str) -> str:
    """Return the folders of one PATH that another lacks; the system's own differ between login and no login."""
    there = {*got.split(":"), *_SYSTEM_FOLDERS}
    return ":".join(folder for folder in wanted.split(":") if folder and folder not in there)
