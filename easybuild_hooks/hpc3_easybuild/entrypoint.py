"""The hooks as entry points (EasyBuild 5.3 and newer, ``--use-entrypoints``), so that a site's own file stays.

EasyBuild imports this module for every ``eb``: it imports nothing heavy.
"""

from __future__ import annotations

import functools

from easybuild.tools.entrypoints import EntrypointHook

from .session import hooks_of_session


def _register() -> None:
    for name, hook in hooks_of_session().items():

        @functools.wraps(hook)
        def call(*args: object, hook: object = hook, **kwargs: object) -> None:
            hook(*args, **kwargs)  # type: ignore[operator]

        # EasyBuild tells entry points apart by the function's name, and looks hooks of the loop up by their whole step.
        call.__name__, call.__module__ = f"hpc3_{name}", __name__
        EntrypointHook(step=name[: -len("_hook")])(call)


_register()
