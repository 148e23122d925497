"""One run of ``eb``: what its hooks have shown so far, and what is written at its end.

The hooks used are those that EasyBuild 4.9 to 5.4 all have, and that a site's own hooks file does not hide from an
entry point (EasyBuild 5.3 and 5.4 do not call an entry point's ``pre_``/``post_`` step where a file defines the same).
"""

from __future__ import annotations

import atexit
import functools
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easybuild.tools.build_log import EasyBuildError, print_msg, print_warning
from easybuild.tools.config import build_option

from hpc3.errors import Hpc3Error

from . import STARTED_IN
from .compat import known_hooks

if TYPE_CHECKING:  # every eb pays for what is imported here, also one that only searches
    from .closure import Planned

Hook = Callable[..., None]


class Session:
    """Holds the parsed easyconfigs of one run of ``eb``, and the plans made before anything is built.

    A build changes its easyconfig (EasyBuild hands out the one it parsed), so that the plan is made before.
    """

    def __init__(self) -> None:
        self._parsed: list[Any] = []
        self._plans: dict[str, Planned] = {}
        self._output = output_folder()
        self._warned = False
        self._at_exit = False

    def parsed(self, easyconfig: Any, *_args: Any, **_kwargs: Any) -> None:
        """``parse_hook``: keep the easyconfig; it is complete only later."""
        self._parsed.append(easyconfig)
        if not self._at_exit:  # a dry run calls no other hook
            self._at_exit = True
            atexit.register(self._guarded, self._planned, "the plan")

    def loop_starts(self, easyconfigs: list[dict[str, Any]], *_args: Any, **_kwargs: Any) -> None:
        """``pre_build_and_install_loop_hook``: plan what was asked for."""
        self._guarded(lambda: self._plan(easyconfigs), "the plan")

    def module_written(self, easyblock: Any, filepath: str, *_args: Any, **_kwargs: Any) -> None:
        """``module_write_hook``: write the record beside the installation.

        EasyBuild calls it for temporary modules too, and when it only pretends.
        """
        if filepath != easyblock.mod_filepath or easyblock.dry_run or build_option("module_only"):
            return
        self._guarded(lambda: _record_installation(easyblock), easyblock.full_mod_name)

    def loop_ended(self, results: list[tuple[Any, dict[str, Any]]], *_args: Any, **_kwargs: Any) -> None:
        """``post_build_and_install_loop_hook``: write the folders of what was asked for and is installed."""
        if any(build_option(option) for option in ("extended_dry_run", "stop", "sanity_check_only")):
            return
        failed = {easyconfig["full_mod_name"] for easyconfig, result in results if not result.get("success")}
        if not self._plans:  # a site's dispatcher that calls nothing earlier, or everything was installed already
            self._guarded(lambda: self._plan([easyconfig for easyconfig, _ in results]), "the plan")
        for module in sorted(set(self._plans) - failed):
            self._guarded(lambda module=module: self._write(module), module)  # type: ignore[misc]
        self._plans = {}

    def _plan(self, easyconfigs: Iterable[Mapping[str, Any]]) -> None:
        from .closure import plan_of

        known = self._known()
        for easyconfig in self._requested([entry["ec"] for entry in easyconfigs]):
            self._plans[easyconfig.full_mod_name] = plan_of(easyconfig, known)

    def _planned(self) -> None:
        """At the end of a dry run: write the plan of what was asked for."""
        if not (build_option("dry_run", default=False) or build_option("dry_run_short", default=False)):
            return
        self._plan([])
        for module in sorted(self._plans):
            self._guarded(lambda module=module: self._write(module), module)  # type: ignore[misc]

    def _write(self, module: str) -> None:
        from .closure import completed
        from .folder import write_folder

        planned = self._plans[module]
        record = completed(planned)
        folder, faults = write_folder(self._output, record, planned.files)
        print_msg(f"hpc3: {module} ({record['state']}): {folder}", silent=build_option("terse", default=False))
        for fault in faults:
            self._warn(f"hpc3: {module}: {fault}")

    def _requested(self, listed: list[Any]) -> list[Any]:
        """Return the easyconfigs that were asked for: named on the command line, else what nothing listed needs."""
        names = {Path(word).name for word in build_option("command_line") or [] if not word.startswith("-")}
        for candidates in (listed, list(self._known().values())):
            named = [easyconfig for easyconfig in candidates if Path(easyconfig.path).name in names]
            if named:
                return named
        from .closure import needed_modules

        needed = needed_modules(listed)
        return [easyconfig for easyconfig in listed if easyconfig.full_mod_name not in needed]

    def _known(self) -> dict[str, Any]:
        return {ec.full_mod_name: ec for ec in self._parsed if ec.path and hasattr(ec, "full_mod_name")}

    def _guarded(self, step: Callable[[], None], what: str) -> None:
        """Run a step of ours: a fault of ours is one warning, a file that says so, and never a failed build."""
        try:
            step()
        except Exception as error:
            reason = _reason(error)
            self._warn(f"hpc3: {what} is not recorded: {reason}")
            from .folder import write_fault

            write_fault(self._output, what, reason)

    def _warn(self, line: str) -> None:
        if not self._warned:
            self._warned = True
            print_warning(" ".join(line.split())[:500])


def _record_installation(easyblock: Any) -> None:
    from .built import FILE
    from .closure import installation_record
    from .folder import write_json

    # SystemMPI and its like show another folder while the module is written: that of the system's own software.
    folder = Path(getattr(easyblock, "orig_installdir", None) or easyblock.installdir)
    write_json(folder / FILE, installation_record(easyblock.cfg))


def _reason(error: Exception) -> str:
    """Return what went wrong: an error made for people is a sentence, any other needs its type to say anything."""
    if isinstance(error, EasyBuildError):
        return str(error.msg)
    if isinstance(error, Hpc3Error):
        return str(error)
    return f"{type(error).__name__}: {error}"


def output_folder() -> Path:
    """Return the folder that ``$HPC3_OUTPUT`` names (default ``./hpc3``)."""
    return STARTED_IN / (os.environ.get("HPC3_OUTPUT") or "hpc3")


@functools.cache
def running_session() -> Session:
    """Return the session of this process."""
    return Session()


def hooks_of_session() -> dict[str, Hook]:
    """Return the hooks by the names that this EasyBuild knows."""
    session = running_session()
    hooks: dict[str, Hook] = {
        "parse_hook": session.parsed,
        "pre_build_and_install_loop_hook": session.loop_starts,
        "module_write_hook": session.module_written,
        "post_build_and_install_loop_hook": session.loop_ended,
    }
    return {name: hook for name, hook in hooks.items() if name in known_hooks()}
