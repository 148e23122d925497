"""Does code that uses a CPU feature run without a check, or behind run-time dispatch?

What guards a whole object decides first: its folder, a library that is known to keep the CPU's features in memory, no
sign of dispatch at all. What is left is a question of reach (`reach`).
"""

from __future__ import annotations

from .code import Code
from .dispatch_names import (
    FEATURE_FUNCTIONS,
    FEATURE_IMPORTS,
    is_chosen_whole,
    is_for_a_target,
    is_in_target_folder,
    is_known_dispatcher,
)
from .instruction_set import CheckFollower, FeatureCounter, FunctionUse
from .reach import Classified, Reach, wide_features


def classify(
    code: Code, counter: FeatureCounter, follower: CheckFollower | None
) -> tuple[Classified, list[FunctionUse]]:
    """Return the functions that use features by whether a run-time check guards them, and all that were counted."""
    keeps_flags = code.is_go or is_known_dispatcher(code.soname, code.path)
    is_chosen = is_in_target_folder(code.path) or is_chosen_whole(code.soname)
    asks_by_name = _asks_by_name(code)
    references = None
    # to count and to follow at once takes less than one after the other
    if follower is not None and not (keeps_flags or is_chosen) and (asks_by_name or follower.seems_to_dispatch(code)):
        uses, references = follower.count_and_follow(code)
    else:
        uses = counter.count_features(code)
    everything = [(use.function, use.features) for use in uses if use.features]
    if is_chosen:
        return Classified(dispatched=everything), uses
    if not everything or not (asks_by_name or any(use.asks for use in uses)):
        return Classified(required=everything), uses
    if keeps_flags and not wide_features(code, uses):
        return Classified(dispatched=everything), uses
    if follower is None:
        found = _by_name(code, uses)
    else:
        references = references or follower.count_and_follow(code)[1]
        found = Reach(code, uses, references, follower, has_fallbacks=not keeps_flags).classify(uses)
    if keeps_flags:
        found = Classified(required=found.required, dispatched=[*found.dispatched, *found.unclear])
    return found, uses


def _asks_by_name(code: Code) -> bool:
    """Whether names say that something in the object asks for the CPU's features, or has it asked by the loader."""
    names = FEATURE_IMPORTS | FEATURE_FUNCTIONS
    return (
        bool(code.resolvers)
        or not names.isdisjoint(code.imports.values())
        or not names.isdisjoint(name for _, name in code.functions.names())
    )


def _by_name(code: Code, uses: list[FunctionUse]) -> Classified:
    """Return what can be told where checks cannot be followed: functions named after a target, and all others."""
    found = Classified()
    for use in uses:
        if not use.features:
            continue
        is_dispatched = is_for_a_target(code.functions.name(use.function.number))
        place = found.dispatched if is_dispatched else found.unclear
        place.append((use.function, use.features))
    return found
