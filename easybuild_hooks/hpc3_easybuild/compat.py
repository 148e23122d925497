"""What moved between EasyBuild 4.9 and 5.4; nothing else in this package looks at EasyBuild's version."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from easybuild.tools.hooks import KNOWN_HOOKS
from easybuild.tools.version import FRAMEWORK_VERSION, VERSION


def known_hooks() -> frozenset[str]:
    """Return the names of the hooks that this EasyBuild calls; a hooks file that defines any other is refused."""
    return frozenset(KNOWN_HOOKS)


def easybuild_versions() -> dict[str, str]:
    """Return the versions of EasyBuild's own packages; ``easyblocks`` is empty where it is not installed."""
    try:
        from easybuild.easyblocks import VERSION as EASYBLOCKS_VERSION

        easyblocks = str(EASYBLOCKS_VERSION)
    except ImportError:
        easyblocks = ""
    return {"version": str(VERSION), "framework": str(FRAMEWORK_VERSION), "easyblocks": easyblocks}


@contextlib.contextmanager
def unresolved_templates_allowed(easyconfig: Any) -> Iterator[None]:
    """Let ``easyconfig[key]`` return what cannot be resolved outside of a build (``%(installdir)s``) as it is.

    5.0 made it an error and brought the way around it; 4.9 returns it as it is.
    """
    allowed = getattr(easyconfig, "allow_unresolved_templates", contextlib.nullcontext)
    with allowed():
        yield


def unquoted(value: str) -> str:
    """Return the value of an option from EasyBuild's command line (easybuild/tools/utilities.py, ``shell_quote``)."""
    return value[1:-1].replace("\\'", "'") if value[:1] == value[-1:] == "'" and len(value) > 1 else value
