"""What an index says of the image: the same as the image itself, and nothing that steers runtimes."""

from __future__ import annotations

from collections.abc import Iterator

from hpc3.consume.finding import Finding, finding
from hpc3.consume.subject import Subject
from hpc3.vocabulary import is_reserved, vocabulary

_PARTS = ("architecture", "os")  # a variant is stated in the index alone, mostly


def check_index(subject: Subject) -> Iterator[Finding]:
    """Yield reserved keys on the index or its descriptor of the image, and what the descriptor says otherwise."""
    for place, values in (("index", subject.index), ("descriptor", subject.descriptor)):
        for name in sorted(filter(is_reserved, values)):
            yield finding("HPC501", f"{subject.name}: {place}: {name}", key=name)
    stated = subject.stated()
    for name, other in sorted(subject.descriptor.items()):
        if name in vocabulary() and stated.get(name, other) != other:
            yield finding("HPC414", f"{subject.name}: descriptor: {name}", key=name, value=stated[name], other=other)
    for part in _PARTS:
        own, described = subject.platform.get(part), subject.described.get(part)
        if own and described and own != described:
            yield finding("HPC415", f"{subject.name}: descriptor", part=part, value=own, other=described)
