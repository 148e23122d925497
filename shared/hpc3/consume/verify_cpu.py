"""Compare the stated CPU target with the instruction sets that the code uses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hpc3.facts import Evidence, Unknown
from hpc3.observed import CpuUse, FeatureUse, Observed
from hpc3.tables import rows
from hpc3.targets import family, features, is_generic, known_targets
from hpc3.vocabulary import key

MODE, TARGET, FEATURES = (
    key("hardware.cpu.optimized.mode"),
    key("hardware.cpu.optimized.version"),
    key("hardware.cpu.features"),
)
#: Each family's levels, least first.
_LEVELS = {
    "aarch64": ("aarch64", *(f"armv8.{n}a" for n in range(1, 7)), "armv9.0a", "armv9.2a"),
    "ppc64le": ("ppc64le", "power9le", "power10le"),
    "x86_64": ("x86_64", "x86_64_v2", "x86_64_v3", "x86_64_v4"),
}

#: key, verdict, what the code shows, reason, evidence
Row = tuple[str, str, str, str, "tuple[Evidence, ...]"]


def compare_cpu(annotations: Mapping[str, str], observed: Observed) -> Iterator[Row]:
    """Yield one row for each CPU key that the annotations state."""
    target = annotations.get(TARGET, "")
    if TARGET in annotations:
        yield (TARGET, *_compare_target(target, observed))
    if MODE in annotations:
        yield (MODE, *_compare_mode(annotations[MODE], target, observed))
    if FEATURES in annotations:
        yield (FEATURES, *_compare_features(annotations[FEATURES], observed))


def floor_level(use: CpuUse) -> str:
    """Return the highest of the family's levels of which undispatched code uses a feature.

    Code may need more than the level, and less than all of it: `CpuUse.required` says which features.
    """
    levels = _LEVELS[use.family]
    level = levels[0]
    for lower, higher in zip(levels, levels[1:]):
        if set(use.required) & (target_features(higher) - target_features(lower)):
            level = higher
    return level


def target_features(name: str) -> set[str]:
    """Return archspec's features of a target, with those that its parents have and those it leaves unsaid."""
    names = {name, *(ancestor.name for ancestor in known_targets()[name].ancestors)}
    unsaid = (row["features"] for row in rows("target_features") if row["target"] in names)
    return set().union(*(features(each) for each in names), *unsaid)


def _compare_target(stated: str, observed: Observed) -> tuple[str, str, str, tuple[Evidence, ...]]:
    if stated not in known_targets():
        return "unproven", "", f"archspec knows no target {stated}", ()
    foreign = {name: place for name, place in observed.families.items() if name != family(stated)}
    if observed.families and family(stated) not in observed.families:
        names = ", ".join(foreign)
        return "contradicts", names, f"the files are for {names}", tuple(foreign.values())[:3]
    use = observed.cpu
    if isinstance(use, Unknown):
        return "unproven", "", use.reason, ()
    if use.family != family(stated):
        return "unproven", "", f"only code for {use.family} was disassembled", ()
    shown = ",".join((floor_level(use), *sorted(set(use.required) - target_features(floor_level(use)))))
    allowed = target_features(stated)
    beyond = [use.required[name] for name in sorted(set(use.required) - allowed)]
    if beyond:
        names = ", ".join(each.feature for each in beyond)
        return "contradicts", shown, f"code that no check guards uses {names}", _places(beyond)
    unclear = [use.unclear[name] for name in sorted(set(use.unclear) - allowed)]
    if unclear:
        names = ", ".join(each.feature for each in unclear)
        return "unproven", shown, f"whether a check guards the code that uses {names} cannot be told", _places(unclear)
    if use.missing:
        return "unproven", shown, f"{len(use.missing)} files were not analysed, such as {use.missing[0]}", ()
    return "agrees", shown, _sufficient(use, allowed), _places([use.required[n] for n in sorted(use.required)])


def _sufficient(use: CpuUse, allowed: set[str]) -> str:
    dispatched = sorted(set(use.dispatched) - allowed)
    reason = f"{use.files} files: no undispatched code needs more"
    return reason + (f"; behind run-time checks: {', '.join(dispatched)}" if dispatched else "")


def _compare_mode(stated: str, target: str, observed: Observed) -> tuple[str, str, str, tuple[Evidence, ...]]:
    use = observed.cpu
    if isinstance(use, Unknown) or target not in known_targets():
        return "unproven", "", use.reason if isinstance(use, Unknown) else "the target is not known", ()
    if stated == "dispatch":
        beyond = [use.dispatched[name] for name in sorted(set(use.dispatched) - target_features(target))]
        if beyond:
            return "agrees", "dispatch", "code beyond the floor lies behind run-time checks", _places(beyond)
        return "unproven", "", "no code beyond the floor lies behind a run-time check", ()
    if (stated == "generic") != is_generic(target):
        return "contradicts", "", f"{target} is {'generic' if is_generic(target) else 'a named target'}", ()
    return "unproven", "", "files show what code needs, not what it was tuned for", ()


def _compare_features(stated: str, observed: Observed) -> tuple[str, str, str, tuple[Evidence, ...]]:
    use = observed.cpu
    if isinstance(use, Unknown):
        return "unproven", "", use.reason, ()
    shown = ",".join(sorted(use.required))
    beyond = [use.required[name] for name in sorted(set(use.required) - set(stated.split(",")))]
    if beyond:
        names = ", ".join(each.feature for each in beyond)
        return "contradicts", shown, f"undispatched code also uses {names}", _places(beyond)
    if use.missing or set(use.unclear) - set(stated.split(",")):
        return "unproven", shown, "there is code of which it cannot be told", ()
    return "agrees", shown, "no undispatched code uses another", ()


def _places(uses: list[FeatureUse]) -> tuple[Evidence, ...]:
    return tuple(place for use in uses for place in use.evidence[:2])[:6]
