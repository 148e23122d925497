"""EasyBuild's side of hpc3: the only package that imports EasyBuild.

``hooks.py`` is what ``eb --hooks=`` points at, ``entrypoint.py`` what ``--use-entrypoints`` finds. A site that has a
hooks file of its own calls `collect` and `emit` from it::

    import hpc3_easybuild

    def module_write_hook(self, filepath, module_txt, *args, **kwargs):
        hpc3_easybuild.collect(self, filepath)

    def post_build_and_install_loop_hook(ecs_with_res, *args, **kwargs):
        hpc3_easybuild.emit(ecs_with_res)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

#: Where ``eb`` was started: later, a build changes the working directory.
STARTED_IN = Path.cwd()

__all__ = ["collect", "emit"]


def collect(easyblock: Any, filepath: str) -> None:
    """Write the record beside the installation whose module file is being written; never fails a build.

    Args:
        easyblock: the ``EasyBlock`` that EasyBuild gives to ``module_write_hook``.
        filepath: the module file that EasyBuild gives with it.
    """
    from .session import running_session

    running_session().module_written(easyblock, filepath)


def emit(ecs_with_res: list[tuple[Any, dict[str, Any]]]) -> None:
    """Write one folder for each requested easyconfig that is installed; never fails a build.

    Args:
        ecs_with_res: what EasyBuild gives to ``post_build_and_install_loop_hook``.
    """
    from .session import running_session

    running_session().loop_ended(ecs_with_res)
