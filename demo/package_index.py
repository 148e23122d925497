"""``package_index.py DIR``: make a Python package index of the wheels there, for a build that downloads none."""

from __future__ import annotations

import sys
from pathlib import Path


def make_index(folder: Path) -> None:
    """Give each wheel the folder and the page by which pip finds it (PEP 503)."""
    for wheel in sorted(folder.glob("*.whl")):
        place = folder / wheel.name.split("-")[0].replace("_", "-")
        place.mkdir()
        wheel.rename(place / wheel.name)
        (place / "index.html").write_text(f'<a href="{wheel.name}">{wheel.name}</a>\n', "utf-8")


if __name__ == "__main__":
    make_index(Path(sys.argv[1]))
