"""Compare what annotations state with what the files of the image show.

Files beat metadata, and nothing is corrected in silence: each key gets one of three verdicts, the reason and the
place in a file that it rests on. ``unproven`` is the honest answer wherever files cannot tell.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from hpc3.facts import Evidence, Known, Unknown
from hpc3.observed import Observed, Package
from hpc3.versions import same_version
from hpc3.vocabulary import key, vocabulary

from .verify_cpu import compare_cpu

_SOFTWARE_VERSION, _TOOLS = key("software.version"), key("userland.tools")
AGREES, CONTRADICTS, UNPROVEN = "agrees", "contradicts", "unproven"


@dataclass(frozen=True)
class Comparison:
    """One key: what is stated, what the files show, and what follows.

    Attributes:
        key: full annotation key.
        verdict: ``agrees``, ``contradicts`` or ``unproven``.
        stated: the annotation's value.
        observed: what the files show, in the key's grammar; empty where they show nothing.
        reason: one line for a person.
        evidence: where in which file.
    """

    key: str
    verdict: str
    stated: str
    observed: str
    reason: str
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True)
class Offer:
    """A value that the files show and no annotation states."""

    key: str
    value: str
    evidence: tuple[Evidence, ...]


#: Compares a stated with an observed value: verdict and reason.
Rule = Callable[[str, str], "tuple[str, str]"]


def verify_annotations(
    annotations: Mapping[str, str], observed: Observed, *, knows_path: bool = True
) -> tuple[Comparison, ...]:
    """Return one comparison for each annotation of the vocabulary that files could prove or refute, sorted by key.

    Args:
        annotations: full key to value.
        observed: what the files show.
        knows_path: whether there is a configuration; a folder has none, and a command may lie in a PATH of its own.
    """
    found = [_compare(name, value, observed) for name, value in sorted(annotations.items()) if _is_provable(name)]
    found.extend(compare_cpu_keys(annotations, observed))
    found.extend(_compare_software_version(annotations, observed))
    if not knows_path:
        found = [_without_path(each) if each.key == _TOOLS else each for each in found]
    return tuple(sorted(found, key=lambda comparison: comparison.key))


def offers(annotations: Mapping[str, str], observed: Observed) -> tuple[Offer, ...]:
    """Return the values that the files show and no annotation states, sorted by key."""
    return tuple(
        Offer(name, fact.value, fact.evidence)
        for name, fact in sorted(observed.values.items())
        if isinstance(fact, Known) and name not in annotations and not vocabulary()[name].fault(fact.value)
    )


def compare_cpu_keys(annotations: Mapping[str, str], observed: Observed) -> Iterator[Comparison]:
    """Yield the comparison of the CPU target, its mode and its features with the instructions in the code."""
    for name, verdict, shown, reason, evidence in compare_cpu(annotations, observed):
        yield Comparison(name, verdict, annotations[name], shown, reason, evidence)


def _compare(name: str, stated: str, observed: Observed) -> Comparison:
    special = _SPECIAL.get(name)
    if special:
        return special(name, stated, observed)
    fact = observed.values.get(name, Unknown("the files do not show it"))
    if isinstance(fact, Unknown):
        return Comparison(name, UNPROVEN, stated, "", fact.reason)
    verdict, reason = _RULES[name](stated, fact.value)
    return Comparison(name, verdict, stated, fact.value, reason, fact.evidence)


def _is_provable(name: str) -> bool:
    return name in _RULES or name in _SPECIAL


def _equal(stated: str, shown: str) -> tuple[str, str]:
    return (AGREES, "as the files show") if stated == shown else (CONTRADICTS, f"the files show {shown}")


def _version(stated: str, shown: str) -> tuple[str, str]:
    """Compare versions as far as both say: ``4.1`` agrees with ``4.1.6``."""
    if same_version(stated, shown):
        return AGREES, "as the files show" if stated == shown else f"as far as both say: the files show {shown}"
    return CONTRADICTS, f"the files show {shown}"


def _same_list(stated: str, shown: str) -> tuple[str, str]:
    """Compare lists where the statement is about everything: too much is a lie, too little is incomplete."""
    left, right = set(stated.split(",")), set(shown.split(","))
    if left == right:
        return AGREES, "as the files show"
    if left < right:
        return AGREES, f"the files show these and also {_join(right - left)}"
    return CONTRADICTS, f"{_join(left - right)} is not in the files, which show {shown}"


def _pmi(stated: str, shown: str) -> tuple[str, str]:
    """Compare PMI clients: files show that PMIx is spoken, not which version."""
    if stated == "none":
        return CONTRADICTS, f"the files show {shown}"
    left = {re.sub(r"_v[0-9]+$", "", item) for item in stated.split(",")}
    missing = left - set(shown.split(","))
    if not missing:
        return AGREES, "as the files show"
    return UNPROVEN, f"{_join(missing)} does not show in the files, which show {shown}; a plug-in may bring it"


def _frameworks(stated: str, shown: str) -> tuple[str, str]:
    """Compare fabrics: a library that is not linked is a lie, TCP and shared memory need no library."""
    left, right = set(stated.split(",")), set(shown.split(","))
    if left == right:
        return AGREES, "as the files show"
    missing = left - right - {"tcp", "shm"}
    if missing and "none" in right | left:
        return CONTRADICTS, f"the files show {shown}"
    if missing:
        return CONTRADICTS, f"the MPI library does not link {_join(missing)}; the files show {shown}"
    return (AGREES, f"the files show {shown}") if left & right else (UNPROVEN, f"the files show {shown}")


def _implementation(stated: str, shown: str) -> tuple[str, str]:
    if stated == "threadmpi" and shown == "none":
        return AGREES, "no MPI is linked; GROMACS brings its own threads"
    return _equal(stated, shown)


def _kernel(stated: str, shown: str) -> tuple[str, str]:
    left, right = _numbers(stated), _numbers(shown)
    if left == right:
        return AGREES, "as the files show"
    if left < right:
        return CONTRADICTS, f"the files need at least {shown}"
    return UNPROVEN, f"the files need {shown}; something that files do not show may need more"


def _page_size(stated: str, shown: str) -> tuple[str, str]:
    if not stated.isdigit() or int(stated) > int(shown):
        return CONTRADICTS, f"the files tolerate {shown} at most"
    return AGREES, f"the files tolerate {shown}"


def _shell(stated: str, shown: str) -> tuple[str, str]:
    if stated == shown or (stated == "/bin/sh" and shown == "/bin/bash"):
        return AGREES, "it is there"
    if stated in ("none", "/bin/bash"):
        return CONTRADICTS, f"the files show {shown}"
    return UNPROVEN, f"the files show {shown} at least"


def _ptx(stated: str, shown: str) -> tuple[str, str]:
    return (AGREES, "as the files show") if stated == shown else (CONTRADICTS, f"the highest PTX is {shown}")


_RULES: Mapping[str, Rule] = {
    key("communication.collectives"): _same_list,
    key("communication.framework"): _frameworks,
    key("hardware.gpu.architecture"): _same_list,
    key("hardware.gpu.cuda.version"): _version,
    key("hardware.gpu.ptx"): _ptx,
    key("hardware.gpu.rocm.version"): _version,
    key("hardware.gpu.runtime"): _same_list,
    key("hardware.gpu.vendor"): _same_list,
    key("libfabric.abi.version"): _equal,
    key("libfabric.version"): _version,
    key("mpi.abi.family"): _equal,
    key("mpi.abi.soname"): _equal,
    key("mpi.abi.version"): _version,
    key("mpi.implementation"): _implementation,
    key("mpi.library.lookup"): _equal,
    key("mpi.pmi"): _pmi,
    key("mpi.version"): _version,
    key("os.name"): _equal,
    key("os.release"): _version,
    key("os.vendor"): _equal,
    key("os.version"): _version,
    key("system.kernel.version.min"): _kernel,
    key("system.libc.name"): _equal,
    key("system.libc.version"): _version,
    key("system.page.size.max"): _page_size,
    key("ucx.version"): _version,
    key("userland.modules"): _equal,
    key("userland.profile"): _same_list,
    key("userland.shell"): _shell,
}


def _compare_software(name: str, stated: str, observed: Observed) -> Comparison:
    packages = observed.packages.get(stated, ())
    if packages:
        place = packages[0].evidence
        # Where in the file names the version, too, which this key does not state.
        return Comparison(
            name, AGREES, stated, stated, "a package has this name", (Evidence(place.document, place.node),)
        )
    return Comparison(name, UNPROVEN, stated, "", f"no package database names {stated}")


def _compare_software_version(annotations: Mapping[str, str], observed: Observed) -> Iterator[Comparison]:
    """Compare the software's version with the packages of its name."""
    stated, software = annotations.get(_SOFTWARE_VERSION, ""), annotations.get(key("software.name"), "")
    packages = observed.packages.get(software, ())
    agreeing = _of_version(packages, stated)
    if not stated:
        return
    if not packages:
        reason = f"no package database names {software}" if software else "software.name is not stated"
        yield Comparison(_SOFTWARE_VERSION, UNPROVEN, stated, "", reason)
    elif agreeing:
        places = tuple(each.evidence for each in agreeing[:5])
        yield Comparison(_SOFTWARE_VERSION, AGREES, stated, agreeing[0].version, "as a package database states", places)
    else:
        shown = _join({each.version for each in packages})
        places = tuple(each.evidence for each in packages[:5])
        reason = f"other versions of {software} are in the image: {shown}"
        yield Comparison(_SOFTWARE_VERSION, CONTRADICTS, stated, shown, reason, places)


def _of_version(packages: tuple[Package, ...], version: str) -> tuple[Package, ...]:
    """Return the packages of a version, without Alpine's revision ``-r1``: others part with theirs when read."""
    return tuple(each for each in packages if same_version(version, re.sub(r"-r[0-9]+$", "", each.version)))


def _compare_packages(name: str, stated: str, observed: Observed) -> Comparison:
    """Compare ``name@version`` items with the databases: a version that no package of the name has is a lie."""
    wrong: list[str] = []
    unknown: list[str] = []
    evidence: list[Evidence] = []
    for item in stated.split(","):
        package, _, version = item.partition("@")
        known = observed.packages.get(package, ())
        agreeing = _of_version(known, version)
        evidence.extend(each.evidence for each in agreeing)
        if not known:
            unknown.append(item)
        elif not agreeing:
            wrong.append(f"{item} (there is {_join({each.version for each in known})})")
    if wrong:
        return Comparison(name, CONTRADICTS, stated, "", f"other versions are in the image: {_join(set(wrong))}")
    if unknown:
        return Comparison(name, UNPROVEN, stated, "", f"no package database names {_join(set(unknown))}")
    return Comparison(name, AGREES, stated, stated, "as the package databases state", tuple(evidence[:5]))


def _compare_tools(name: str, stated: str, observed: Observed) -> Comparison:
    missing = {tool for tool in stated.split(",") if tool not in observed.commands}
    if missing:
        return Comparison(name, CONTRADICTS, stated, "", f"not on PATH: {_join(missing)}")
    places = tuple(Evidence(observed.commands[tool]) for tool in stated.split(","))
    return Comparison(name, AGREES, stated, stated, "on PATH", places)


def _without_path(tools: Comparison) -> Comparison:
    """Return the comparison of the tools where no PATH is known: what is on that of every engine is there."""
    if tools.verdict == AGREES:
        return tools
    return replace(tools, verdict=UNPROVEN, reason=f"no PATH is known; with the one that engines set: {tools.reason}")


_SPECIAL: Mapping[str, Callable[[str, str, Observed], Comparison]] = {
    key("software.name"): _compare_software,
    key("software.packages"): _compare_packages,
    _TOOLS: _compare_tools,
}


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit() and len(part) < 10)


def _join(items: set[str]) -> str:
    return ", ".join(sorted(items))
