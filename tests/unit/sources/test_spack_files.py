"""Which files beside ``spack.yaml`` the build needs: only what lies in the environment's folder, by whatever way."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from hpc3.sources.documents import Place
from hpc3.sources.spack_files import environment_document, environment_files
from unit.conftest import Refused

AT = Place("spack.yaml") / "spack"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return an environment's folder with something in it, and something beside it."""
    folder = tmp_path / "env"
    for name in ("repo/packages/app", "src/app", "configs", "other", "mirror"):
        (folder / name).mkdir(parents=True)
    (folder / "packages.yaml").touch()
    (folder / "configs" / "more.yaml").touch()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").touch()
    return folder


def found(folder: Path, **environment: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return environment_files(environment, folder, AT)


def test_nothing(folder: Path) -> None:
    assert found(folder) == ((), ())
    assert found(folder, repos=None, include=None, develop=None, mirrors=None) == ((), ())


@pytest.mark.parametrize(
    "path", ["repo", "./repo", "repo/", "$env/repo", "${env}/repo", "$SPACK_ENV/repo", "src/../repo"]
)
@pytest.mark.parametrize("form", ["list", "names"])
def test_repository_in_the_folder(folder: Path, path: str, form: str) -> None:
    assert found(folder, repos=[path] if form == "list" else {"site": path}) == (("repo",), ())


def test_absolute_path_into_the_folder(folder: Path) -> None:
    assert found(folder, repos=[str(folder / "repo")]) == (("repo",), ())


@pytest.mark.parametrize(
    "repos", [["$spack/var/spack/repos/builtin"], ["https://x/y.git"], {"r": {"git": "https://x"}}]
)
def test_repositories_elsewhere_are_not_copied(folder: Path, repos: Any) -> None:
    assert found(folder, repos=repos) == ((), ())


@pytest.mark.parametrize(
    "path",
    [
        "../outside",
        "/etc",
        "repo/../../outside",
        "$env/../outside",
        "link",
        "link/deeper",
        "$HOME/x",
        "~/x",
        "${X}/y",
        "/",
        "..",
    ],
)
@pytest.mark.parametrize("section", ["repos", "include", "include_concrete", "develop"])
def test_path_that_leaves_the_folder(folder: Path, section: str, path: str, refused: Refused) -> None:
    (folder / "link").symlink_to(folder.parent / "outside")
    (folder.parent / "outside" / "deeper").mkdir()
    entry: Any = {"app": {"path": path}} if section == "develop" else [path]
    with refused(f"spack.yaml: spack.{section}", repr(path), "move it there"):
        found(folder, **{section: entry})


def test_link_within_the_folder_keeps_its_name(folder: Path) -> None:
    (folder / "link").symlink_to("repo")
    assert found(folder, repos=["link"]) == (("link",), ())


@pytest.mark.parametrize("path", ["gone", "repo/gone", "packages.yaml/x", "dangling"])
def test_path_that_does_not_exist(folder: Path, path: str, refused: Refused) -> None:
    (folder / "dangling").symlink_to("gone")
    with refused("spack.yaml: spack.repos[0]", repr(path), "does not exist"):
        found(folder, repos=[path])


def test_loop_of_links(folder: Path, refused: Refused) -> None:
    (folder / "loop").symlink_to("loop")
    with refused("spack.yaml: spack.repos[0]", "loop"):
        found(folder, repos=["loop/x"])


@pytest.mark.parametrize("path", ["x" * 300, "x/" * 500, "a\nb", "a\x00b", "", "x" * 5000])
def test_path_that_cannot_be(folder: Path, path: str, refused: Refused) -> None:
    with refused("spack.yaml: spack.repos[0]"):
        found(folder, repos=[path])


def test_includes(folder: Path) -> None:
    include = ["packages.yaml", {"path": "configs"}, "https://x/y.yaml", {"git": "https://x", "paths": ["a.yaml"]}]
    assert found(folder, include=include, include_concrete=["other"]) == (("configs", "other"), ("packages.yaml",))


@pytest.mark.parametrize("entry", [{"path": "gone", "optional": True}, {"path": "gone", "when": 'os == "ubuntu"'}])
def test_include_that_may_be_missing(folder: Path, entry: Any) -> None:
    assert found(folder, include=[entry]) == ((), ())


def test_optional_include_that_is_there_is_copied(folder: Path) -> None:
    assert found(folder, include=[{"path": "packages.yaml", "optional": True}]) == ((), ("packages.yaml",))


def test_optional_include_still_may_not_leave_the_folder(folder: Path, refused: Refused) -> None:
    with refused("leaves"):
        found(folder, include=[{"path": "../outside/secret", "optional": True}])


def test_development_sources(folder: Path) -> None:
    (folder / "app2").mkdir()
    develop = {"app": {"spec": "app@=main", "path": "src/app"}, "app2": {"spec": "app2@=main"}}
    assert found(folder, develop=develop) == (("app2", "src/app"), ())


@pytest.mark.parametrize(
    ("mirrors", "folders"),
    [
        ({"m": "mirror"}, ("mirror",)),
        ({"m": {"url": "./mirror"}}, ("mirror",)),
        ({"m": {"fetch": "mirror", "push": "https://x"}}, ("mirror",)),
        ({"m": {"fetch": {"url": "mirror"}, "push": "mirror"}}, ("mirror",)),
        ({"m": {"url": "$env/mirror"}}, ("mirror",)),
        ({"m": "/site/mirror", "n": "file:///site/mirror", "o": "s3://x", "p": {"url": "oci://x"}}, ()),
    ],
)
def test_mirrors_in_the_folder(folder: Path, mirrors: Any, folders: tuple[str, ...]) -> None:
    assert found(folder, mirrors=mirrors) == (folders, ())


def test_what_lies_in_a_folder_that_is_copied_is_not_copied_twice(folder: Path) -> None:
    assert found(folder, include=["configs/more.yaml", "configs"]) == (("configs",), ())
    (folder / "configs-more").touch()
    assert found(folder, include=["configs", "configs-more"]) == (("configs",), ("configs-more",))


def test_whole_folder(folder: Path) -> None:
    assert found(folder, repos=["."], include=["packages.yaml"]) == ((".",), ())


@pytest.mark.parametrize(
    "environment",
    [
        {"include": "packages.yaml"}, {"include": 7}, {"include": True}, {"include": [7]},
        {"include_concrete": {"a": 1}}, {"repos": "repo"}, {"repos": 7}, {"develop": ["app"]},
        {"develop": {"app": "src"}}, {"mirrors": ["m"]},
        {"include": [{"path": 7}]}, {"develop": {"app": {"path": 7}}},
    ],
    ids=repr,
)  # fmt: skip
def test_wrong_types(folder: Path, environment: dict[str, Any], refused: Refused) -> None:
    with refused("spack.yaml: spack."):
        environment_files(environment, folder, AT)


def write_package(folder: Path, text: str) -> None:
    (folder / "repo/packages/app/package.py").write_text(text, "utf-8")


def test_local_archives_of_private_packages(folder: Path) -> None:
    write_package(folder, 'url = "file:///opt/spack-environment/sources/app-1.0.tar.gz"')
    (folder / "sources").mkdir()
    for name in ("app-1.0.tar.gz", "app-2.0.tar.gz", "other-1.0.tar.gz"):
        (folder / "sources" / name).touch()
    assert found(folder, repos=["repo"]) == (("repo",), ("sources/app-1.0.tar.gz", "sources/app-2.0.tar.gz"))


@pytest.mark.parametrize(
    "url",
    [
        "file:///opt/spack-environment/../outside/secret",
        "file:///opt/spack-environment/link/secret",
        "file:///opt/spack-environment//etc/passwd",
        "file:///etc/passwd",
        "file:///opt/spack-environment/",
        "file:///opt/spack-environment/1.tar.gz",
        "https://x/opt/spack-environment/app-1.0.tar.gz",
    ],
)
def test_archives_elsewhere_are_not_copied(folder: Path, url: str) -> None:
    (folder / "link").symlink_to(folder.parent / "outside")
    write_package(folder, f'url = "{url}"')
    assert found(folder, repos=["repo"]) == (("repo",), ())


def test_package_that_is_no_text_is_read_as_far_as_it_is(folder: Path) -> None:
    (folder / "repo/packages/app/package.py").write_bytes(b"\xff\xfe file:///opt/spack-environment/app-1.tar \x00")
    (folder / "app-1.tar").touch()
    assert found(folder, repos=["repo"]) == (("repo",), ("app-1.tar",))


def test_package_that_is_too_large(folder: Path, refused: Refused) -> None:
    write_package(folder, "#" * (1024 * 1024 + 1))
    with refused("package.py", "larger than 1 MiB"):
        found(folder, repos=["repo"])


def test_repository_that_links_to_itself(folder: Path) -> None:
    (folder / "repo" / "again").symlink_to(".")
    assert found(folder, repos=["repo"]) == (("repo",), ())


def test_document(folder: Path, refused: Refused) -> None:
    assert environment_document(folder, "gone", 10) is None
    (folder / "small").write_bytes(b"1234567890")
    assert environment_document(folder, "small", 10) == b"1234567890"
    with refused(str(folder / "small")):
        environment_document(folder, "small", 9)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_document_that_may_not_be_read(folder: Path, refused: Refused) -> None:
    (folder / "closed").touch(mode=0)
    with refused(str(folder / "closed"), "cannot be read"):
        environment_document(folder, "closed", 10)
