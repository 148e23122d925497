"""hpc3 inside Spack: ``spack containerize --annotate`` and ``spack hpc3``.

Spack imports this module for every command, unguarded, and calls `get_extension_path` for the entry point group
``spack.extensions`` (Spack 0.22 and up): an error here would break ``spack find``. So nothing but the standard
library is imported, and nothing is raised.
"""

from pathlib import Path

_HERE = Path(__file__).resolve().parent

#: Root of the extension in the form that ``config:extensions`` takes; Spack wants the name ``spack-<something>``.
EXTENSION_PATH = _HERE / "spack-hpc3"

#: Folder of commands that stand before Spack's own of the same name.
OVERRIDE_PATH = _HERE / "override_cmd"

#: Completion for shells, to be read after Spack's own.
COMPLETION_PATH = _HERE / "completion.bash"


def get_extension_path() -> "list[str]":
    """Put our ``containerize`` before Spack's, which it wraps, and return the paths of extensions to add.

    Spack offers no other way to add an option to a command: a command of an extension never wins over one of its own.
    Nothing is imported until ``containerize`` is asked for. Called many times in one process.
    """
    try:
        import spack.cmd
        import spack.config

        if str(OVERRIDE_PATH) not in spack.cmd.__path__:
            spack.cmd.__path__.insert(0, str(OVERRIDE_PATH))
        configured = spack.config.get("config:extensions") or []
        # Added twice, "hpc3" would stand twice in "spack commands".
        is_configured = any(Path(path).name == EXTENSION_PATH.name for path in configured)
        return [] if is_configured else [str(EXTENSION_PATH)]
    except Exception as fault:  # whatever it is, Spack's other commands must not suffer
        _debug(f"hpc3: the extension is not active: {type(fault).__name__}: {fault}")
        return []


def _debug(message: str) -> None:
    try:
        from hpc3_spack.compat import tty

        tty().debug(message)
    except Exception:  # noqa: S110 - there is nobody left to tell
        pass
