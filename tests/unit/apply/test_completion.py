from __future__ import annotations

import pytest

from hpc3.apply.completion import (
    SPACK_LOCK,
    check_architecture,
    check_recipe,
    completed,
    files_to_read,
    from_config,
    from_files,
)
from hpc3.errors import InputError
from hpc3.oci.manifest import digest_of
from hpc3.vocabulary import OCI_PREFIX, key

BANNER = b"\0GNU C Library (Debian GLIBC 2.36-9+deb12u10) stable release version 2.36.\nCopyright"


@pytest.mark.parametrize(
    ("os_release", "more", "expected"),
    [
        ("ID=ubuntu\nVERSION_ID=\"22.04\"\nPRETTY_NAME=\"Ubuntu 22.04.3 LTS\"", {}, ("ubuntu", "22.04", "22.04.3")),
        ("ID=debian\nVERSION_ID='12'\n", {"etc/debian_version": b"12.5\n"}, ("debian", "12", "12.5")),
        ("ID=debian\nVERSION_ID=12\n", {"etc/debian_version": b"trixie/sid\n"}, ("debian", "12", None)),
        ("ID=\"rocky\"\nVERSION_ID=\"9.4\"", {}, ("rocky", "9.4", "9.4")),
        ("ID=arch\nBUILD_ID=rolling", {}, ("arch", None, None)),
        ("#ID=x\nID='a b'\nVERSION_ID=\"1", {}, (None, None, None)),
        ("\x00\xff", {}, (None, None, None)),
    ],
)  # fmt: skip
def test_os_release_is_read(os_release: str, more: dict[str, bytes], expected: tuple[str | None, ...]) -> None:
    found = from_files({"etc/os-release": os_release.encode("latin-1"), **more}, "amd64")
    assert tuple(found.get(key(f"os.{part}")) for part in ("vendor", "version", "release")) == expected


@pytest.mark.parametrize(
    ("files", "architecture", "expected"),
    [
        ({"lib/x86_64-linux-gnu/libc.so.6": BANNER}, "amd64", ("glibc", "2.36")),
        ({"usr/lib64/libc.so.6": BANNER, "lib64/libc.so.6": BANNER}, "arm64", ("glibc", "2.36")),
        ({"lib64/libc.so.6": BANNER, "usr/lib64/libc.so.6": BANNER.replace(b"2.36.", b"2.17.")}, "amd64", (None, None)),
        ({"lib64/libc.so.6": b"no banner"}, "amd64", (None, None)),
        ({"lib/ld-musl-x86_64.so.1": b""}, "amd64", ("musl", None)),
        (
            {"lib/ld-musl-aarch64.so.1": b"", "lib/apk/db/installed": b"P:x\nV:9\n\nP:musl\nV:1.2.4-r2\n"},
            "arm64",
            ("musl", "1.2.4"),
        ),
        ({"lib/ld-musl-x86_64.so.1": b"", "lib64/libc.so.6": BANNER}, "amd64", (None, None)),
        ({}, "riscv64", (None, None)),
    ],
)
def test_the_c_library_is_read_from_itself(
    files: dict[str, bytes], architecture: str, expected: tuple[str | None, str | None]
) -> None:
    assert set(files) <= set(files_to_read(architecture))
    found = from_files(files, architecture)
    assert (found.get(key("system.libc.name")), found.get(key("system.libc.version"))) == expected


def test_the_config_says_when_and_how() -> None:
    config = {"created": "2024-01-02T03:04:05Z", "config": {"Cmd": ["/bin/bash", "-l"], "Entrypoint": []}}
    labels = {OCI_PREFIX + "base.name": "docker.io/library/debian:12", OCI_PREFIX + "base.digest": ""}
    assert from_config(config, labels) == {
        OCI_PREFIX + "created": "2024-01-02T03:04:05Z",
        OCI_PREFIX + "base.name": "docker.io/library/debian:12",
        key("userland.entrypoint"): "none",
        key("userland.shell"): "/bin/bash",
    }
    odd = {"created": 7, "config": {"Cmd": ["/bin/bash", "-c", "x"], "Entrypoint": ["/entry.sh"]}}
    assert from_config(odd, {}) == {}
    assert from_config({"config": None}, {}) == {key("userland.entrypoint"): "none"}


@pytest.mark.parametrize(("target", "architecture"), [("zen3", "amd64"), ("neoverse_v1", "arm64"), ("zen3", "mips")])
def test_architectures_that_fit(target: str, architecture: str) -> None:
    check_architecture({key("hardware.cpu.optimized.version"): target}, architecture, "image")


@pytest.mark.parametrize(("target", "architecture"), [("zen3", "arm64"), ("aarch64", "amd64"), ("no_cpu", "amd64")])
def test_architectures_that_do_not(target: str, architecture: str) -> None:
    with pytest.raises(InputError, match=target):
        check_architecture({key("hardware.cpu.optimized.version"): target}, architecture, "image")


def test_completing_adds_refines_and_refuses() -> None:
    version, created = key("os.version"), OCI_PREFIX + "created"
    assert completed({}, {version: "12"}, "image") == {version: "12"}
    assert completed({version: "9"}, {version: "9.4"}, "image") == {version: "9.4"}
    assert completed({created: "a"}, {created: "b"}, "image") == {created: "a"}
    for stated, found in (("12", "13"), ("9.4", "9"), ("1", "12")):
        with pytest.raises(InputError, match=found):
            completed({version: stated}, {version: found}, "image")


def test_the_recipe_inside_must_be_the_one_of_the_source() -> None:
    recipe = key("software.recipe.digest")
    inside = {SPACK_LOCK: b"{}"}
    assert check_recipe({recipe: digest_of(b"{}")}, inside, "image") == ""
    assert "neither" in check_recipe({recipe: digest_of(b"{}")}, {}, "image")
    assert "do not say" in check_recipe({}, inside, "image")
    with pytest.raises(InputError, match="another recipe"):
        check_recipe({recipe: digest_of(b"[]")}, inside, "image")
