"""The documentation's site builds without a warning, asks no other server for anything, and its figures are right."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import peers

TRUTH = peers.REPOSITORY / "docs/truth.md"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as strictly as MkDocs can."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=peers.REPOSITORY,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


class Loaded(HTMLParser):
    """What a browser loads for a page without being asked to."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag != "a" and given.get("rel") not in ("canonical", "next", "prev"):
            self.addresses += [given[name] or "" for name in ("src", "href", "data", "poster") if name in given]


def test_every_page_is_there(site: Path) -> None:
    pages = {path.relative_to(peers.REPOSITORY / "docs") for path in (peers.REPOSITORY / "docs").rglob("*.md")}
    assert {page.with_suffix(".html") for page in pages} <= {path.relative_to(site) for path in site.rglob("*.html")}


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        loaded = Loaded()
        loaded.feed(page.read_text("utf-8"))
        assert loaded.addresses, page
        assert [address for address in loaded.addresses if re.match(r"(?:[a-z]+:)?//", address)] == [], page
    for style in site.rglob("*.css"):
        assert re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//[^)]*", style.read_text("utf-8")) == [], style


def test_diagrams_are_not_drawn_by_a_script_from_elsewhere(site: Path) -> None:
    """The theme would load Mermaid from a content delivery network."""
    assert [page for page in site.rglob("*.html") if "mermaid" in page.read_text("utf-8")] == []


def test_layers_are_those_that_are_checked() -> None:
    tomllib = pytest.importorskip("tomllib")  # Python 3.11
    settings = tomllib.loads((peers.REPOSITORY / "pyproject.toml").read_text("utf-8"))
    (layers,) = [
        contract["layers"] for contract in settings["tool"]["importlinter"]["contracts"] if "layers" in contract
    ]
    page = (peers.REPOSITORY / "docs/architecture.md").read_text("utf-8").partition("| layer | what it is |")[2]
    named = re.findall(r"^\| `(\w+)` \|", page.partition("\n\n")[0], re.MULTILINE)
    assert named == [name for layer in layers for name in layer.split(" | ")]


def test_files_that_the_architecture_names_are_there() -> None:
    text = (peers.REPOSITORY / "docs/architecture.md").read_text("utf-8")
    names = re.findall(r"`([\w/.]+\.(?:py|json|yml|md|toml)|[\w/]+/)`", text)
    assert len(names) > 20
    folders = (peers.REPOSITORY, peers.REPOSITORY / "shared/hpc3")
    assert [name for name in names if not any((folder / name).exists() for folder in folders)] == []


def test_tests_that_pages_name_are_there() -> None:
    for document in ("SECURITY.md", "docs/truth.md", "docs/images.md", "docs/consumers.md", "docs/tutorial.md"):
        for path, name in re.findall(
            r"`(tests/[\w/.]+)(?:::(\w+))?`", (peers.REPOSITORY / document).read_text("utf-8")
        ):
            text = (peers.REPOSITORY / path).read_text("utf-8")
            assert not name or f"def {name}(" in text, f"{document} names {path}::{name}"


def test_figures_are_what_is_counted(rerecord: bool) -> None:
    counted = counts()
    rows = re.findall(r"^\| .* \| (\d+)(?: \w+)? \| (.*) \|$", TRUTH.read_text("utf-8"), re.MULTILINE)
    assert len(rows) > 20
    if rerecord:
        TRUTH.write_text(recounted(TRUTH.read_text("utf-8"), counted), "utf-8")
    assert recounted(TRUTH.read_text("utf-8"), counted) == TRUTH.read_text("utf-8")


def counts() -> dict[str, int]:
    """How often each test of the suite runs, and those of each file."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    names = {name.split("::")[0] for name in re.findall(r"`(tests/[^`]+)`", TRUTH.read_text("utf-8"))}
    done = subprocess.run([*command, *sorted(names)], cwd=peers.REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    counted: dict[str, int] = {}
    for line in done.stdout.splitlines():
        path, separator, name = line.partition("::")
        for each in (path, f"{path}::{name.partition('[')[0]}") if separator else ():
            counted[each] = counted.get(each, 0) + 1
    return counted


def recounted(text: str, counted: dict[str, int]) -> str:
    """Return the page with the figures that were counted."""

    def row(match: re.Match[str]) -> str:
        figure = sum(counted[name] for name in re.findall(r"`([^`]+)`", match[4]))
        return f"{match[1]}{figure}{match[3]}{match[4]}"

    return re.sub(r"^(\| .* \| )(\d+)((?: \w+)? \| )(`tests/.* \|)$", row, text, flags=re.MULTILINE)
