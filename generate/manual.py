"""The manual page ``hpc3(1)``, in man(7).

argparse-manpage would write the day on which it ran, what argparse of the Python that runs it makes of a usage line,
and no line for ``apropos``; a page that is committed and compared needs the opposite.
"""

from __future__ import annotations

from collections.abc import Iterator

from hpc3 import __version__

from .commands import Argument, Command
from .exit_codes import exit_codes, verdict_exit_codes

_SOURCES_AND_IMAGES = (
    ("SOURCE", "A spack.lock, a folder with spack.yaml and spack.lock, an easyconfig, a record of the EasyBuild hooks, "
     "or what hpc3 facts printed; told apart by its form."),
    ("IMAGE", "docker://REGISTRY/REPOSITORY:TAG (docker:// may be left out), oci:DIR[:TAG], oci-archive:FILE[:TAG], "
     "containers-storage:NAME."),
)  # fmt: skip
_ENVIRONMENT = (
    ("HPC3_CATALOG", "The catalog, unless --catalog names one; else hpc3/catalog.sqlite below XDG_DATA_HOME."),
    ("HPC3_OUTPUT", "Where the EasyBuild hooks leave their folders; else ./hpc3."),
    ("REGISTRY_AUTH_FILE", "Credentials, as podman, skopeo and docker keep them; their usual files are read, too."),
    ("https_proxy, http_proxy, no_proxy", "How registries are reached."),
)


def manual_page(command: Command) -> str:
    """Return the manual page of ``hpc3``."""
    return "".join(f"{line}\n" for line in _lines(command))


def _lines(command: Command) -> Iterator[str]:
    yield ".\\\" Written by pytest --rerecord from the command line's own help."
    yield f'.TH HPC3 1 "" "hpc3 {__version__}" "HPC Container Conformance"'
    yield from (".SH NAME", f"hpc3 \\- {_text(_lower(command.what).rstrip('.'))}")
    yield ".SH SYNOPSIS"
    yield from (".B hpc3", _text("VERB …"), ".br", ".B hpc3", _text("VERB --help"), ".br", ".B hpc3 \\-\\-version")
    yield ".SH DESCRIPTION"
    for name, what in _SOURCES_AND_IMAGES:
        yield from (".TP", f".I {name}", _text(what))
    yield ".PP"
    yield _text(
        "The product goes to stdout, or to what -o names, which is written at the end and whole; talk to stderr."
    )
    yield ".SH VERBS"
    for verb in command.commands:
        yield from _verb(verb)
    yield ".SH EXIT STATUS"
    for code, what in exit_codes():
        yield from (".TP", f".B {code}", _text(what.replace("`", "")))
    yield ".PP"
    yield _text("hpc3 check has its own:")
    for code, verdict in verdict_exit_codes():
        yield from (".TP", f".B {code}", _text(f"{verdict}."))
    yield ".SH ENVIRONMENT"
    for name, what in _ENVIRONMENT:
        yield from (".TP", f".B {name}", _text(what))
    yield from (".SH SEE ALSO", ".BR podman (1),", ".BR buildah (1),", ".BR skopeo (1)")


def _verb(verb: Command) -> Iterator[str]:
    yield f".SS {_text(verb.name)}"
    yield _text(f"{verb.what[:1].upper()}{verb.what[1:]}.")
    yield ".PP"
    yield f".B {_text(verb.name)}"
    yield _text(" ".join(verb.synopsis))
    for argument in verb.arguments:
        yield from _argument(argument)
    if verb.epilogue:
        yield from (".PP", _text(f"{verb.epilogue[:1].upper()}{verb.epilogue[1:]}."))
    for action in verb.commands:
        yield from _verb(action)


def _argument(argument: Argument) -> Iterator[str]:
    yield ".TP"
    flags = ", ".join(f"\\fB{_text(flag)}\\fR" for flag in argument.flags)
    value = f"\\fI{_text(argument.value)}\\fR" if argument.value else ""
    yield " ".join(filter(None, (flags, value)))
    yield _text(argument.what)


def _text(text: str) -> str:
    """Return text of which nothing is taken for a request or an escape, in ASCII."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...").replace("'", "\\(aq")
    return f"\\&{escaped}" if escaped.startswith(".") else escaped


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
