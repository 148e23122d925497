"""The behaviour contract, as far as the configuration of an image shows it."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator
from typing import Any

from hpc3.consume.finding import Finding, finding
from hpc3.consume.subject import Subject
from hpc3.vocabulary import key

_SHELLS = ("ash", "bash", "dash", "sh", "zsh")
_ROOT = re.compile(r"(/\.{0,2})+")  # "//" and "/.." are the root, too; "/opt/.." is not where /opt is a link
#: Libraries that the dynamic linker loads into every program.
_LOADED = ("LD_AUDIT", "LD_PRELOAD")
_PERSONAL = ("HOME", "LOGNAME", "UID", "USER")


def check_contract(subject: Subject) -> Iterator[Finding]:
    """Yield what in the configuration breaks the contract; nothing where there is no configuration."""
    if subject.config is None:
        return
    yield from _entrypoint(subject, subject.config)
    yield from _command(subject, subject.config)
    yield from _forbidden(subject, subject.config)
    yield from _environment(subject, subject.config)


def _entrypoint(subject: Subject, config: Any) -> Iterator[Finding]:
    stated = subject.stated().get(key("userland.entrypoint"), "")
    where = subject.place("Entrypoint")
    words = _words(config.get("Entrypoint"))
    if words:
        shown = json.dumps(words, ensure_ascii=False)
        yield finding("HPC102" if stated == "env" else "HPC101", where, value=shown)
        if stated == "none":
            yield finding("HPC108", where, stated=stated, value=shown)
    elif "Entrypoint" not in config and subject.base:
        yield finding("HPC113", subject.place("FROM"), value=subject.base)
    elif stated in ("env", "app"):
        yield finding("HPC108", where, stated=stated, value="empty")


def _command(subject: Subject, config: Any) -> Iterator[Finding]:
    words = _words(config.get("Cmd"))
    where = subject.place("Cmd")
    if not words and "Cmd" not in config and subject.base:
        return  # inherited, and unknown
    shown = json.dumps(words, ensure_ascii=False)
    if len(words) > 2 and posixpath.basename(words[0]) in _SHELLS and words[1] == "-c":
        yield finding("HPC104", where, value=shown)
    elif not _is_login_shell(words):
        yield finding("HPC103", where, value=shown if words else "none")


def _is_login_shell(words: list[str]) -> bool:
    """Whether a shell is called with ``-l`` or ``--login``, at most interactive besides: ``-li``, ``-l -i``."""
    if not words or posixpath.basename(words[0]) not in _SHELLS:
        return False
    plain = all(word == "--login" or re.fullmatch(r"-[il]+", word) for word in words[1:])
    return plain and any(word == "--login" or "l" in word for word in words[1:])


def _forbidden(subject: Subject, config: Any) -> Iterator[Finding]:
    user = config.get("User")
    if user and str(user).split(":")[0] not in ("root", "0"):
        yield finding("HPC105", subject.place("User"), value=str(user))
    if config.get("Volumes"):
        yield finding("HPC106", subject.place("Volumes"), value=", ".join(sorted(map(str, config["Volumes"]))))
    if config.get("WorkingDir") and not _ROOT.fullmatch(str(config["WorkingDir"])):
        yield finding("HPC107", subject.place("WorkingDir"), value=str(config["WorkingDir"]))
    if config.get("Healthcheck") and _words(config["Healthcheck"].get("Test")) != ["NONE"]:
        yield finding("HPC109", subject.place("Healthcheck"))
    if config.get("OnBuild"):
        yield finding("HPC110", subject.place("OnBuild"), value="; ".join(_words(config["OnBuild"])))


def _environment(subject: Subject, config: Any) -> Iterator[Finding]:
    environment = subject.environment()
    where = subject.place("Env")
    if "PATH" not in environment and not subject.base:  # a base may set it
        yield finding("HPC111", where)
    for name in _PERSONAL:
        if name in environment:
            yield finding("HPC112", where, value=f"{name}={environment[name]}")
    for name in _LOADED:
        if name in environment:
            yield finding("HPC505", where, name=name)


def _words(value: object) -> list[str]:
    if isinstance(value, str) and value:
        return [value]
    return [str(word) for word in value] if isinstance(value, list) else []
