"""Programs compiled here, which evidence is held against."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def compile_c(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Compile C source with GCC and return the file; skips where there is no GCC for x86-64."""
    compiler = shutil.which("gcc")
    if compiler is None or os.uname().machine != "x86_64":
        pytest.skip("no gcc for x86-64 is here")
    folder = tmp_path_factory.mktemp("corpus")
    counter = iter(range(10_000))

    def build(source: str, *options: str, name: str = "program") -> Path:
        place = folder / f"{next(counter)}"
        place.mkdir()
        (place / "source.c").write_text(source)
        done = subprocess.run(
            [compiler, *options, "-o", place / name, place / "source.c", "-lm"], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return place / name

    return build
