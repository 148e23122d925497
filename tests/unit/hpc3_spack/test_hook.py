"""The entry point where there is no Spack at all: it still does not raise, and imports nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import hpc3_spack


def test_without_spack_there_is_nothing_to_add() -> None:
    script = "import hpc3_spack; print(hpc3_spack.get_extension_path())"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (result.stdout, result.stderr) == ("[]\n", "")


def test_the_module_imports_pathlib_alone() -> None:
    """Spack imports it for every command, without a guard."""
    tree = ast.parse(Path(hpc3_spack.__file__).read_text("utf-8"))
    assert [ast.unparse(node) for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))] == [
        "from pathlib import Path"
    ]


def test_what_it_names_is_there() -> None:
    assert (hpc3_spack.EXTENSION_PATH / "hpc3" / "cmd" / "hpc3.py").is_file()
    assert [path.name for path in hpc3_spack.OVERRIDE_PATH.glob("*.py")] == ["containerize.py"]
    assert hpc3_spack.COMPLETION_PATH.is_file()
