"""An easyconfig: EasyBuild itself is asked what it means, in a process of the Python that has EasyBuild.

An easyconfig is a Python program with templates, hooks and a site's configuration around it: only EasyBuild reads it
right. The question is ``hpc3_easybuild.ask``; this package never imports EasyBuild.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hpc3.errors import InputError, printable

#: A closure of 160 modules takes 3 s; a slow network file system may take far longer.
_TIMEOUT = 600

_NO_EASYBUILD = 7
_QUESTION = """\
import importlib.util, sys
if importlib.util.find_spec("easybuild") is None or importlib.util.find_spec("easybuild.framework") is None:
    sys.exit({missing})
sys.path += {folders!r}
from hpc3_easybuild.ask import main
main(sys.argv[1:])
"""


def ask_easybuild(easyconfig: Path) -> bytes:
    """Return the record of an easyconfig and its closure.

    Args:
        easyconfig: a path, or a file name that EasyBuild's robot search path has.

    Raises:
        InputError: no EasyBuild is found; it cannot read the easyconfig, or does not find one of its dependencies.
    """
    asked = str(easyconfig) if easyconfig.exists() else easyconfig.name
    for python in _pythons():
        answer = _ask(python, asked)
        if answer is not None:
            return answer
    raise InputError(
        "EasyBuild is needed to read an easyconfig and is not found",
        where=str(easyconfig),
        remedy="put eb on PATH or name its Python in EB_PYTHON; 'hpc3 … record.json' needs no EasyBuild",
    )


def _pythons() -> Iterator[str]:
    """Return the Pythons that may have EasyBuild, the likeliest first; each once."""
    found = [os.environ.get("EB_PYTHON", "")]
    eb = shutil.which("eb")
    if eb:
        # A virtual environment keeps its Python beside eb; a system installation names it in the script.
        found.append(str(Path(eb).parent / "python3"))
        with Path(eb).open(encoding="utf-8", errors="replace") as script:
            found += re.findall(r'^EB_INSTALLPYTHON="?([^"\n]+)"?$', script.read(65536), re.MULTILINE)
    found += [sys.executable, "python3"]
    yield from dict.fromkeys(path for path in map(shutil.which, filter(None, found)) if path)


def _ask(python: str, easyconfig: str) -> bytes | None:
    """Return the record, or None where this Python has no EasyBuild."""
    with tempfile.TemporaryDirectory(prefix="hpc3-") as folder:
        answer = Path(folder) / "answer.json"
        question = _QUESTION.format(missing=_NO_EASYBUILD, folders=_package_folders())
        try:
            done = subprocess.run(
                [python, "-c", question, str(answer), easyconfig],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=_TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise InputError(f"EasyBuild did not answer within {_TIMEOUT} s", where=easyconfig) from error
        if done.returncode == _NO_EASYBUILD:
            return None
        if not answer.exists():
            raise InputError(f"EasyBuild cannot be asked: {_last_line(done.stderr)}", where=easyconfig)
        data = answer.read_bytes()
    fault = json.loads(data).get("fault")
    if fault is not None:
        raise InputError(f"EasyBuild says: {' '.join(str(fault).split())}", where=easyconfig)
    return data


def plugin_folder() -> Path:
    """Return the folder of EasyBuild's plug-in, without importing it.

    Raises:
        InputError: it is not installed beside this package.
    """
    found = importlib.util.find_spec("hpc3_easybuild")
    if found is None or found.origin is None:
        raise InputError("EasyBuild's plug-in hpc3_easybuild is not installed", remedy="pip install hpc3")
    return Path(found.origin).parent


def _package_folders() -> list[str]:
    """Return the folders that hold this package and the plug-in, for the other Python's search path."""
    return list(dict.fromkeys((str(Path(__file__).parents[2]), str(plugin_folder().parent))))


def _last_line(stderr: bytes) -> str:
    lines = [line.strip() for line in stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    return printable(lines[-1], 500) if lines else "it says nothing"
