"""Does code that uses a CPU feature run without a check, or behind run-time dispatch?

What guards a whole object decides first: its name, a library that is known to keep the CPU's features in memory, no
sign of dispatch at all. What is left is a question of reach (`reach`).
"""

from __future__ import annotations

from collections import Counter

from .code import Code
from .dispatch_names import (
    FEATURE_FUNCTIONS,
    FEATURE_IMPORTS,
    TARGET_FILE,
    TARGET_NAME,
    is_chosen_whole,
    is_known_dispatcher,
)
from .instruction_set import CheckFollower, FeatureCounter, FunctionUse, References
from .reach import PERVASIVE, Classified, Reach


def classify(
    code: Code, counter: FeatureCounter, follower: CheckFollower | None
) -> tuple[Classified, list[FunctionUse]]:
    """Return the functions that use features by whether a run-time check guards them, and all that were counted."""
    is_chosen = TARGET_FILE.search("/" + code.path) or is_chosen_whole(code.soname)
    if is_chosen or not _asks(code, counter):
        uses = counter.count_features(code)
        everything = [(use.function, use.features) for use in uses if use.features]
        return Classified(dispatched=everything) if is_chosen else Classified(required=everything), uses
    keeps_flags = code.is_go or is_known_dispatcher(code.soname, code.path)
    if keeps_flags:
        uses = counter.count_features(code)
        if not _may_be_pervasive(code, uses):
            return Classified(dispatched=[(use.function, use.features) for use in uses if use.features]), uses
    if follower is None:
        uses = counter.count_features(code)
        found = _by_name(uses)
    else:
        references: dict[int, References] = {}
        uses = counter.count_features(code, references)
        found = Reach(code, uses, references, follower, has_fallbacks=not keeps_flags).classify(uses)
    if keeps_flags:
        found = Classified(required=found.required, dispatched=[*found.dispatched, *found.unclear])
    return found, uses


def _asks(code: Code, counter: FeatureCounter) -> bool:
    """Whether anything in the object asks for the CPU's features, or has it asked by the loader."""
    names = {*code.imports.values(), *(function.name for function in code.functions)}
    return bool(code.resolvers or names & (FEATURE_IMPORTS | FEATURE_FUNCTIONS)) or counter.asks_for_features(code)


def _by_name(uses: list[FunctionUse]) -> Classified:
    """Return what can be told where checks cannot be followed: functions named after a target, and all others."""
    found = Classified()
    for use in uses:
        if not use.features:
            continue
        place = found.dispatched if TARGET_NAME.search(use.function.name) else found.unclear
        place.append((use.function, use.features))
    return found


def _may_be_pervasive(code: Code, uses: list[FunctionUse]) -> bool:
    """Whether a feature is in so many functions that it may be the object's base; a quick look before the long one."""
    spread = Counter(feature for use in uses for feature in use.features)
    return max(spread.values(), default=0) * PERVASIVE * 2 >= len(code.functions)
