"""The environment that ``module load`` gives, as the modules tool of this session gives it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from easybuild.tools.config import build_option, install_path
from easybuild.tools.environment import restore_env
from easybuild.tools.modules import modules_tool

#: Stands for the folder of the installations, so that no path of the builder leaves this machine.
SOFTWARE = "@SOFTWARE@"
MODULES = "@MODULES@"

#: What a modules tool keeps for itself, and what points to a build's own files.
_PRIVATE = ("__LMOD", "_LMFILES", "_ModuleTable", "LMOD", "LOADEDMODULES", "MODULE", "BASH_FUNC", "EBDEVEL", "_")

_NEUTRAL = ("HOME", "LANG", "TMPDIR", "USER")


def module_environment(load: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """Return the variables that loading sets: ``name`` and ``values`` (a path variable has several), sorted by name.

    The installations' folder is written ``@SOFTWARE@``, the modules' ``@MODULES@``. The caller's environment is the
    same afterwards.

    Raises:
        EasyBuildError: a module does not load.
    """
    before = os.environ.copy()
    try:
        tool = modules_tool()
        _keep_only_what_the_tool_needs()
        tool.purge()
        root = Path(install_path("mod")) / str(build_option("suffix_modules_path") or "")
        for path in load["paths"]:
            tool.prepend_module_path(str(root / path))
        neutral = dict(os.environ)
        for module in load["modules"]:
            tool.load([module])
        changed = {name: value for name, value in os.environ.items() if neutral.get(name) != value}
        return [
            {"name": name, "values": _relative(value, neutral.get(name, ""))}
            for name, value in sorted(changed.items())
            if not name.startswith(_PRIVATE)
        ]
    finally:
        restore_env(before)


def _keep_only_what_the_tool_needs() -> None:
    for name in list(os.environ):
        if not name.startswith(("LMOD", "MODULE", "BASH_FUNC", "EASYBUILD", "EB_")) and name not in _NEUTRAL:
            del os.environ[name]
    os.environ["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def _relative(value: str, before: str) -> list[str]:
    """Return what was put in front of ``before``, one entry per folder, with the builder's folders named."""
    added = value[: -len(before)].rstrip(":") if before and value.endswith(before) else value
    found = []
    for item in added.split(":") if "://" not in added else [added]:
        for folder, name in ((install_path(), SOFTWARE), (install_path("mod"), MODULES)):
            if item == folder or item.startswith(f"{folder}/"):
                item = name + item[len(folder) :]
        found.append(item)
    return found
