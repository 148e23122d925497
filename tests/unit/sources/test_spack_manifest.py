"""``spack.yaml`` to a request: all that Spack's container schema allows, and what it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hpc3.errors import InputError
from hpc3.request import GitSource, Images, Mirror, OsPackages, SpackRequest
from hpc3.sources.spack_manifest import asked_packages, package_name, request_from_manifest
from hpc3.sources.yaml_document import load_yaml
from unit.conftest import Refused
from unit.mutations import mutations


def request(text: str, folder: Path = Path("/nonexistent")) -> SpackRequest:
    """Return the request of what stands below ``spack:``."""
    body = "\n".join(f"  {line}" for line in text.strip("\n").splitlines())
    return request_from_manifest(load_yaml(f"spack:\n{body or '  {}'}\n".encode(), "spack.yaml"), folder)


def container(text: str) -> SpackRequest:
    return request("container:\n" + "\n".join(f"  {line}" for line in text.strip("\n").splitlines()))


def test_nothing_said() -> None:
    assert request("") == SpackRequest()
    assert request("container:") == SpackRequest()
    assert request_from_manifest({"spack": None}, Path()) == SpackRequest()


def test_all_that_spacks_schema_allows() -> None:
    found = container("""
format: singularity
images:
  os: ubuntu:24.04
  spack:
    url: https://git.site/spack.git
    ref: v1.1.0
    resolve_sha: true
    verify: true
strip: false
depfile: true
os_packages:
  command: dnf_epel
  update: false
  build: [libopenmpi-dev, gcc]
  final: [openmpi-bin]
labels:
  app: gromacs
singularity:
  runscript: exec "$@"
  startscript: sleep 1
  test: gmx --version
  help: |
    Two lines
    of help
docker: {}
""")
    assert found == SpackRequest(
        format="singularity",
        images=Images(os="ubuntu:24.04", spack_version="v1.1.0", spack_url="https://git.site/spack.git"),
        os_packages=OsPackages("dnf_epel", False, ("libopenmpi-dev", "gcc"), ("openmpi-bin",)),
        strip=False,
        depfile=True,
        labels={"app": "gromacs"},
        singularity={
            "help": "Two lines\nof help\n",
            "runscript": 'exec "$@"',
            "startscript": "sleep 1",
            "test": "gmx --version",
        },
    )


@pytest.mark.parametrize("version", ["1.1.0", "develop", "v1.1.0", "2e907202bcc8209a6a62243aab50c179b524cc3b", "1.1"])
def test_spack_version(version: str) -> None:
    found = container(f"images: {{os: 'debian:12', spack: {version}}}").images
    assert found == Images(os="debian:12", spack_version=version)


def test_custom_images() -> None:
    found = container("images: {build: 'nvcr.io/nvidia/cuda:12.9.1-devel-ubuntu24.04', final: 'ubuntu:24.04'}").images
    assert found == Images(build="nvcr.io/nvidia/cuda:12.9.1-devel-ubuntu24.04", final="ubuntu:24.04")


@pytest.mark.parametrize("command", ["apt", "yum", "zypper", "apk", "yum_amazon", "dnf", "dnf_epel"])
def test_package_managers(command: str) -> None:
    assert container(f"os_packages: {{command: {command}}}").os_packages.command == command


def test_package_names_may_look_like_numbers() -> None:
    assert container("os_packages: {build: [7zip, 389]}").os_packages.build == ("7zip", "389")


@pytest.mark.parametrize(
    ("value", "label"),
    [
        ("text", "text"), ("'1.10'", "1.10"), ("1.5", "1.5"), ("7", "7"), ("true", "true"), ("no", "false"),
        ("''", ""), ("2024-05-01", "2024-05-01"), ("'{\"a\": \"b $HOME\"}'", '{"a": "b $HOME"}'),
        ("'a\\b'", "a\\b"), ("Grüße", "Grüße"),
    ],
)  # fmt: skip
def test_labels_are_text(value: str, label: str) -> None:
    assert container(f"labels: {{key: {value}}}").labels == {"key": label}


def test_labels_are_sorted() -> None:
    assert list(container("labels: {b: 1, a: 2, c: 3}").labels) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("labels: {key: }", "labels.key"),
        ("labels: {key: [a]}", "labels.key"),
        ("labels: {key: {a: b}}", "labels.key"),
        ("labels: {1: a}", "labels"),
        ("labels: {'a b': c}", "labels"),
        ("labels: {'a=b': c}", "labels"),
        ('labels: {key: "a\\nb"}', "labels.key"),
        ('labels: {key: "a\\0b"}', "labels.key"),
        ('labels: {key: "\\e[2J"}', "labels.key"),
        ("labels: [a]", "labels"),
        ("format: podman", "format"),
        ("format: [docker]", "format"),
        ("strip: 'yes'", "strip"),
        ("depfile: 1", "depfile"),
        ("images: {build: a}", "images"),
        ("images: {final: a}", "images"),
        ("images: {spack: develop}", "images"),
        ("images: {os: 'a b'}", "images.os"),
        ("images: {os: 'debian:12', spack: [1]}", "images.spack"),
        ("images: {os: 'debian:12', spack: {ref: [1]}}", "images.spack"),
        ("images: ubuntu", "images"),
        ("os_packages: {command: pacman}", "os_packages.command"),
        ("os_packages: {command: [apt]}", "os_packages.command"),
        ("os_packages: {update: 1}", "os_packages.update"),
        ("os_packages: {build: gcc}", "os_packages.build"),
        ("os_packages: {build: [a b]}", "os_packages.build[0]"),
        ("os_packages: {final: [{a: b}]}", "os_packages.final[0]"),
        ("os_packages: [gcc]", "os_packages"),
        ("singularity: {runscript: [a]}", "singularity.runscript"),
        ("singularity: {1: a, b: c}", "singularity"),
    ],
)
def test_what_the_schema_refuses(text: str, place: str, refused: Refused) -> None:
    with refused(f"spack.yaml: spack.container.{place}: "):
        container(text)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("label: {a: b}", "container"),
        ("images: {os: 'debian:12', spak: 1}", "container.images"),
        ("images: {build: a, final: b, os: c}", "container.images"),
        ("os_packages: {finall: [a]}", "container.os_packages"),
        ("singularity: {run: a}", "container.singularity"),
    ],
)
def test_misspelt_key_is_named_not_ignored(text: str, place: str, refused: Refused) -> None:
    with refused(f"spack.yaml: spack.{place}: ", "unknown"):
        container(text)


def test_package_names_that_look_like_options_are_refused(refused: Refused) -> None:
    with refused("spack.yaml: spack.container.os_packages.build[0]"):
        container("os_packages: {build: ['-o=Dpkg::Pre-Invoke::=reboot']}")


def test_image_names_that_look_like_options_are_refused(refused: Refused) -> None:
    with refused("spack.yaml: spack.container.images.build"):
        container("images: {build: '--platform=x', final: 'debian:12'}")


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("repos: {builtin: {git: 'https://x/p.git', commit: abc}}", GitSource("https://x/p.git", "abc")),
        ("repos: {builtin: {git: 'https://x/p.git', tag: v1}}", GitSource("https://x/p.git", "v1")),
        ("repos: {builtin: {git: 'https://x/p.git', branch: main}}", GitSource("https://x/p.git", "main")),
        ("repos: {builtin: {tag: v1, commit: abc}}", GitSource("", "abc")),
        ("repos: {builtin: {git: 'https://x/p.git'}}", GitSource("https://x/p.git", "")),
        ("repos: []", GitSource()),
        ("repos:", GitSource()),
    ],
)
def test_packages_repository(text: str, source: GitSource) -> None:
    assert request(text).packages == source


def test_mirrors() -> None:
    found = request("""
mirrors:
  site: https://mirror.site/spack
  cache:
    fetch:
      url: oci://registry.site/cache
      access_pair: {id_variable: CACHE_USER, secret_variable: CACHE_PASSWORD}
    push: oci://registry.site/cache
    signed: false
  bucket:
    url: s3://bucket
    binary: false
    access_token_variable: TOKEN
""")
    assert found.mirrors == (
        Mirror("bucket", False, ("TOKEN",)),
        Mirror("cache", True, ("CACHE_PASSWORD", "CACHE_USER")),
        Mirror("site"),
    )


@pytest.mark.parametrize(
    "text",
    [
        "m: {url: 'https://x', access_token: SECRET}",
        "m: {url: 'https://x', access_pair: [me, SECRET]}",
        "m: {fetch: {url: 'https://x', access_pair: [me, SECRET]}, push: 'https://x'}",
        "m: {fetch: 'https://x', push: {url: 'https://x', access_token: SECRET}}",
        "m: {fetch: 'https://x', push: {url: 'https://x', access_pair: [me, SECRET]}}",
        "m: https://me:SECRET@x/y",
        "m: {url: 'https://me:SECRET@x/y'}",
        "m: {url: 'https://SECRET@x/y'}",
        "m: {fetch: 'oci://me:SECRET@x/y', push: 'https://x'}",
    ],
)
def test_credential_in_the_file_is_refused_and_not_printed(text: str) -> None:
    with pytest.raises(InputError) as caught:
        request(f"mirrors: {{{text}}}")
    assert "credential" in str(caught.value)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "repos: {builtin: {git: 'https://oauth2:SECRET@git.site/p.git', commit: abc}}",
        "repos: {mine: {git: 'https://SECRET@git.site/p.git'}}",
        "include: ['https://me:SECRET@git.site/packages.yaml']",
        "container: {images: {os: 'debian:12', spack: {url: 'https://me:SECRET@git.site/s.git'}}}",
    ],
)
def test_credential_in_any_url_is_refused_and_not_printed(text: str) -> None:
    with pytest.raises(InputError) as caught:
        request(text)
    assert "credential" in str(caught.value)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("url", ["ssh://git@git.site:2222/p.git", "git@git.site:p.git", "https://git.site/a@b:c"])
def test_user_name_is_no_credential(url: str) -> None:
    assert request(f"repos: {{builtin: {{git: '{url}', tag: v1}}}}").packages.url == url


@pytest.mark.parametrize("name", ["A B", "1A", "", "A-B", "A;id", "A$(id)"])
def test_secret_variable_is_a_variable(name: str, refused: Refused) -> None:
    with refused("spack.yaml: spack.mirrors.m"):
        request(f"mirrors: {{m: {{url: 'https://x', access_token_variable: '{name}'}}}}")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("container: {template: mine.dockerfile}", "template"),
        ("view: false", "view"),
        ("view: {default: {root: /x}}", "view"),
        ("config: {install_tree: {root: /x}}", "install_tree"),
    ],
)
def test_what_is_not_followed_is_told(text: str, word: str) -> None:
    assert [word in warning for warning in request(text).warnings] == [True]


@pytest.mark.parametrize("text", ["view: true", "config: {build_jobs: 4}", "container: {format: docker}"])
def test_no_warning_without_reason(text: str) -> None:
    assert request(text).warnings == ()


@pytest.mark.parametrize("document", [None, [], "x", 7, {}, {"env": {}}, {"spack": []}, {"spack": "x"}], ids=repr)
def test_no_manifest(document: object, refused: Refused) -> None:
    with refused("spack.yaml"):
        request_from_manifest(document, Path())


FULL: dict[str, Any] = {
    "spack": {
        "specs": ["app"],
        "view": True,
        "config": {"install_tree": {"root": "/x"}},
        "repos": {"builtin": {"git": "https://x/p.git", "commit": "abc"}, "site": "repo"},
        "include": ["packages.yaml", {"path": "more.yaml", "optional": True}],
        "include_concrete": ["other"],
        "develop": {"app": {"spec": "app@=main", "path": "src"}},
        "mirrors": {
            "a": "https://x",
            "b": {"url": "mirror", "binary": False, "access_pair": {"id_variable": "I", "secret_variable": "S"}},
            "c": {"fetch": {"url": "https://x", "access_token_variable": "T"}, "push": {"url": "https://x"}},
        },
        "container": {
            "format": "docker",
            "images": {"os": "debian:12", "spack": {"url": "https://x", "ref": "v1"}},
            "strip": True,
            "depfile": False,
            "os_packages": {"command": "apt", "update": True, "build": ["a"], "final": ["b"]},
            "labels": {"a": "b", "c": 1},
            "singularity": {"runscript": "x"},
        },
    }
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with all that `FULL` refers to."""
    for name in ("repo", "other", "src", "mirror"):
        (tmp_path / name).mkdir()
    for name in ("packages.yaml", "more.yaml"):
        (tmp_path / name).touch()
    return tmp_path


def test_any_wrong_value_anywhere(folder: Path) -> None:
    request_from_manifest(FULL, folder)
    outcomes = set()
    for _, _, mutated in mutations(FULL):
        try:
            request_from_manifest(mutated, folder)
            outcomes.add(True)
        except InputError as error:
            outcomes.add(False)
            line = str(error)
            assert line.startswith("spack.yaml"), ascii(line)
            assert line.isprintable(), ascii(line)
            assert len(line) < 3000
    assert outcomes == {True, False}


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("gromacs+mpi ^openmpi", "gromacs"),
        ("builtin.zlib@1.3", "zlib"),
        ("py-torch", "py-torch"),
        ("7zip", "7zip"),
        ("+mpi", ""),
        ("%gcc", ""),
        ("$definitions", ""),
        ("", ""),
    ],
)
def test_package_name(spec: str, name: str) -> None:
    assert package_name(spec) == name


def test_asked_packages_are_those_of_plain_specs() -> None:
    document = {"spack": {"specs": ["a@1", {"matrix": [["b"]]}, "$c", "d ^e"]}}
    assert asked_packages(document) == ("a", "d")
