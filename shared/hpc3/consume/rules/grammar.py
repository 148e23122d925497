"""The vocabulary, key by key: is every value well-formed, every mandatory key there, every key known and harmless."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterator, Mapping, Set

from hpc3.consume.finding import Finding, finding
from hpc3.consume.subject import Subject
from hpc3.targets import known_targets
from hpc3.vocabulary import OCI_PREFIX, PREFIX, Key, holds_control, is_reserved, key, vocabulary

_LEGACY = {"gpu": "hardware.gpu.runtime", "glibc": "system.libc.version", "mpi": "mpi.abi.family"}
_LONG = 256
_LABEL_LIMIT = 4096
_ANNOTATIONS_LIMIT = 1 << 20
#: Unknown keys of which a spelling is guessed: each guess costs half a millisecond, and a stranger chose their number.
_GUESSES = 50
#: Empty on images of buildah and podman FROM scratch, which have no base.
_BASE = (OCI_PREFIX + "base.name", OCI_PREFIX + "base.digest")
#: Lists that are one string on purpose: an argv, and what people write.
_NO_LISTS = ("smoketest.command", "software.variants", "os.name")


def check_grammar(subject: Subject) -> Iterator[Finding]:
    """Yield what is wrong with single keys and values."""
    unknown = (name for name in sorted(subject.stated()) if name.startswith(PREFIX) and name not in vocabulary())
    guessed = set(itertools.islice(unknown, _GUESSES))
    for values in (subject.annotations or {}, subject.labels or {}):
        for name, value in sorted(values.items()):
            if values is subject.labels and (subject.annotations or {}).get(name) == value:
                continue  # said once already
            yield from _key(subject, name, value, guessed)
    yield from _variables(subject)
    yield from _prefixes(subject)
    yield from _missing(subject)
    yield from _sizes(subject)


def _key(subject: Subject, name: str, value: str, guessed: Set[str]) -> Iterator[Finding]:
    where = subject.place(name)
    if is_reserved(name):
        yield finding("HPC501", where, key=name)
    known = vocabulary().get(name)
    if known is not None:
        yield from _value(known, value, where)
    elif name.startswith(PREFIX):
        yield from _unknown(name, where, guess=name in guessed)
    for text, what in ((name, "the name of the key"), (value, "the value of")):
        if holds_control(text):
            yield finding("HPC502", where, what=f"{what} {name}")


def _variables(subject: Subject) -> Iterator[Finding]:
    where = subject.place("Env")
    for entry in (subject.config or {}).get("Env") or ():
        name, _, value = entry.partition("=")
        for text, what in ((name, "the name of the variable"), (value, "the value of the variable")):
            if holds_control(text):
                yield finding("HPC502", where, what=f"{what} {name}")


def _value(known: Key, value: str, where: str) -> Iterator[Finding]:
    fault = "" if known.name in _BASE and not value else known.fault(value)
    if fault:
        yield finding("HPC201", where, key=known.name, value=value, fault=fault)
        return
    if known.name == key("hardware.cpu.optimized.version") and value not in known_targets():
        yield finding("HPC206", where, value=value)
    if _is_list(known):
        expected = ",".join(sorted(set(value.split(","))))
        if value != expected:
            yield finding("HPC204", where, key=known.name, value=value, expected=expected)
    if len(value) > _LONG and known.limit <= 512:
        yield finding("HPC205", where, key=known.name, length=str(len(value)))


def _is_list(known: Key) -> bool:
    return known.name.startswith(PREFIX) and known.name.removeprefix(PREFIX) not in _NO_LISTS and "(," in known.grammar


def _unknown(name: str, where: str, *, guess: bool) -> Iterator[Finding]:
    legacy = _LEGACY.get(name.removeprefix(PREFIX))
    if legacy:
        yield finding("HPC208", where, key=name, other=key(legacy))
        return
    near = difflib.get_close_matches(name, vocabulary(), 1, 0.8) if guess else []
    yield finding("HPC203", where, key=name, hint=f"; did you mean {near[0]}?" if near else "")


def _prefixes(subject: Subject) -> Iterator[Finding]:
    names = sorted(name for name in subject.stated() if name.startswith((PREFIX, OCI_PREFIX)))
    for name, following in zip(names, names[1:]):
        if following.startswith(name + "."):
            yield finding("HPC207", subject.place(name), key=name, other=following)


def _missing(subject: Subject) -> Iterator[Finding]:
    stated = subject.stated()
    # A Dockerfile has labels only, and a base image that states more; a file of annotations is not on an image yet.
    is_image = subject.config is not None and not subject.base
    for known in vocabulary().values():
        can_state = subject.annotations is not None or known.is_label
        later = not is_image and (known.merge == "inherit" or known.name == OCI_PREFIX + "created")
        if known.level == "M" and known.name not in stated and can_state and not later:
            yield finding("HPC202", subject.name, key=known.name)


def _sizes(subject: Subject) -> Iterator[Finding]:
    size = _size(subject.annotations or {})
    if size > _ANNOTATIONS_LIMIT:
        yield finding("HPC503", subject.name, size=str(size))
    for name, value in sorted((subject.labels or {}).items()):
        label = _size({name: value})
        if label > _LABEL_LIMIT:
            yield finding("HPC504", subject.place(name), key=name, size=str(label))


def _size(values: Mapping[str, str]) -> int:
    # Half of a surrogate pair, which JSON can spell, has no bytes.
    return sum(len(text.encode("utf-8", "replace")) for pair in values.items() for text in pair)
