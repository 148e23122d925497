"""Fingerprints of machines that only left text behind: ``/proc/cpuinfo``, ``lscpu``, ``nvidia-smi``."""

from __future__ import annotations

from hpc3.errors import InputError
from hpc3.fingerprint import Fingerprint

from .cpu import cpu_from_text
from .document import fingerprint_from_json
from .gpu import gpus_from_nvidia_smi

#: What a file may be at most; the cpuinfo of a thousand processors is smaller.
MOST_BYTES = 16 * 2**20
_REASON = "no output that was given says it"
_ATTRIBUTES = ("cpu", "kernel", "libc", "gpus", "fabrics", "libraries", "mpis", "launcher", "runtimes", "devices")


def fingerprint_from_texts(texts: dict[str, str], name: str = "", family: str = "") -> Fingerprint:
    """Return what the outputs of one machine say together; everything else is unknown.

    Args:
        texts: name of a file to what is in it; the kind is told by the shape.
        name: what to call the machine.
        family: its ``uname -m``, where no text tells it (cpuinfo of big-endian POWER).

    Raises:
        InputError: a text is of no known kind, or two state the same.
    """
    known: dict[str, object] = {}
    for where, text in texts.items():
        attribute, value = _statement(text, where, family)
        if attribute in known:
            raise InputError(f"states {attribute} once more", where=where, remedy="give one machine's files at a time")
        known[attribute] = value
    unknown = {attribute: _REASON for attribute in (*_ATTRIBUTES, "limits") if attribute not in known}
    return Fingerprint(name=name, unknown=unknown, **known)  # type: ignore[arg-type]


def is_fingerprint(text: str) -> bool:
    """Whether a text is meant to be the JSON form."""
    return text.lstrip().startswith("{")


def fingerprint_from_text(text: str, where: str) -> Fingerprint:
    """Return the fingerprint in a file: the JSON form, or the output of one of the commands above.

    Raises:
        InputError: it is none of them.
    """
    if is_fingerprint(text):
        return fingerprint_from_json(text, where)
    return fingerprint_from_texts({where: text})


def _statement(text: str, where: str, family: str) -> tuple[str, object]:
    start = text.lstrip()[:4000]
    if not start:
        raise InputError("is empty", where=where)
    if "NVIDIA-SMI" in start or start.startswith(("NVIDIA", "Tesla", "GeForce", "name,", "No devices were found")):
        return "gpus", gpus_from_nvidia_smi(text, where)
    return "cpu", cpu_from_text(text, family, where)
