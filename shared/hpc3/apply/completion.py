"""What only the image knows: its config's dates and behaviour, its operating system, its C library, its own recipe.

Every value is read, none is guessed; what cannot be read stays absent. Where the image contradicts what was stated, the
run is refused: one of the two is wrong, and only a person knows which.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from hpc3 import targets
from hpc3.behaviour import RECIPE_PROFILE
from hpc3.errors import InputError
from hpc3.oci.edit import runtime_of
from hpc3.oci.manifest import digest_of
from hpc3.vocabulary import OCI_PREFIX, key, vocabulary

#: OCI architecture (GOARCH) to archspec family, Debian triplet and musl's name.
_ARCHITECTURES = {
    "amd64": ("x86_64", "x86_64-linux-gnu", "x86_64"),
    "arm64": ("aarch64", "aarch64-linux-gnu", "aarch64"),
    "ppc64le": ("ppc64le", "powerpc64le-linux-gnu", "powerpc64le"),
    "riscv64": ("riscv64", "riscv64-linux-gnu", "riscv64"),
    "386": ("x86", "i386-linux-gnu", "i386"),
}

#: Where images carry what they were built from; the first is where Spack's and our recipes put it.
SPACK_LOCK = "opt/spack-environment/spack.lock"
EASYBUILD_RECORD = "usr/share/hpc3/record.json"
OWN_ANNOTATIONS = "usr/share/hpc3/annotations.json"
RECIPE_FILES = (SPACK_LOCK, EASYBUILD_RECORD)

#: What follows from the config alone; a run that does not read it leaves them as they are.
CONFIG_KEYS = (key("userland.entrypoint"), key("userland.shell"))

_PROFILE = RECIPE_PROFILE.lstrip("/")
_OS_RELEASE = ("etc/os-release", "usr/lib/os-release")
_DEBIAN_VERSION = "etc/debian_version"
_APK_DATABASE = "lib/apk/db/installed"
_SMALL_FILE = 1024 * 1024
# glibc, csu/version.c: "GNU C Library " PKGVERSION RELEASE " release version " VERSION
_GLIBC_BANNER = re.compile(rb"GNU C Library [^\n]{0,200}? release version ([0-9]+\.[0-9]+(?:\.[0-9]+)?)")
_APK_MUSL = re.compile(rb"^P:musl\nV:([0-9]+\.[0-9]+(?:\.[0-9]+)?)", re.MULTILINE)


def from_config(config: Mapping[str, Any], labels: Mapping[str, str]) -> dict[str, str]:
    """Return what an image config says: when it was made, from what, and how it starts."""
    runtime = runtime_of(config)
    found = {
        OCI_PREFIX + "created": config.get("created"),
        OCI_PREFIX + "base.name": labels.get(OCI_PREFIX + "base.name"),
        OCI_PREFIX + "base.digest": labels.get(OCI_PREFIX + "base.digest"),
        # An entrypoint may be a wrapper or the application: only its absence is certain.
        key("userland.entrypoint"): None if runtime.get("Entrypoint") else "none",
        key("userland.shell"): _login_shell(runtime.get("Cmd")),
    }
    return {k: v for k, v in found.items() if isinstance(v, str) and v and not vocabulary()[k].fault(v)}


def check_architecture(stated: Mapping[str, str], architecture: str, where: str) -> None:
    """Check that code for the stated CPU target can be in an image of this architecture.

    Raises:
        InputError: it cannot, or archspec does not know the target.
    """
    target = stated.get(key("hardware.cpu.optimized.version"))
    if not target or architecture not in _ARCHITECTURES:
        return
    try:
        family = targets.family(target)
    except KeyError as error:
        raise InputError(f"archspec knows no target {target}", where=where) from error
    if family != _ARCHITECTURES[architecture][0]:
        raise InputError(
            f"is an image for {architecture}, and the annotations say {target}, which is {family}",
            where=where,
            remedy="in an index, --platform picks",
        )


def files_to_read(architecture: str) -> tuple[str, ...]:
    """Return the paths that tell operating system, C library and login environment of an image."""
    libc = (*_glibc_paths(architecture), *_musl_paths(architecture))
    return (*_OS_RELEASE, _DEBIAN_VERSION, _APK_DATABASE, _PROFILE, *libc)


def from_files(files: Mapping[str, bytes], architecture: str) -> dict[str, str]:
    """Return what the root file system says of operating system, C library and login environment."""
    found = {**_operating_system(files), **_libc(files, architecture)}
    if _PROFILE in files:
        found[key("userland.profile")] = RECIPE_PROFILE
    return {k: v for k, v in found.items() if v and not vocabulary()[k].fault(v)}


def completed(stated: Mapping[str, str], found: Mapping[str, str], where: str) -> dict[str, str]:
    """Return what was stated, completed by what the image says.

    A source may know less than the image (``9`` of ``9.4``): the image's longer value is taken.

    Raises:
        InputError: they contradict each other.
    """
    result = dict(stated)
    for name, value in found.items():
        said = stated.get(name, value)
        if name.startswith((OCI_PREFIX, key("userland."))):
            result.setdefault(name, value)
        elif said == value or value.startswith(said + "."):
            result[name] = value
        else:
            raise InputError(f"the annotations say {name} is {said}, the image has {value}", where=where)
    return result


def check_recipe(stated: Mapping[str, str], files: Mapping[str, bytes], where: str) -> str:
    """Compare the recipe inside an image with the one that the annotations were derived from.

    Returns:
        A warning where they cannot be compared, or an empty string.

    Raises:
        InputError: they differ.
    """
    wanted = stated.get(key("software.recipe.digest"))
    inside = {path: digest_of(files[path]) for path in RECIPE_FILES if path in files}
    if not inside:
        return "carries neither a lock nor a record, so that it was not compared with the source"
    if not wanted:
        return "carries a recipe, but the annotations do not say which one they were derived from"
    if wanted not in inside.values():
        path, digest = next(iter(inside.items()))
        raise InputError(
            f"was built from another recipe: /{path} has digest {digest}, the source {wanted}",
            where=where,
            remedy="--from-image takes the image's own",
        )
    return ""


def _login_shell(command: object) -> str | None:
    if isinstance(command, list) and command and isinstance(command[0], str) and command[0].endswith("sh"):
        return command[0] if command[1:] in ([], ["-l"], ["--login"]) else None
    return None


def _operating_system(files: Mapping[str, bytes]) -> dict[str, str]:
    raw = next((files[path] for path in _OS_RELEASE if path in files), None)
    if raw is None:
        return {}
    stated = _shell_variables(raw[:_SMALL_FILE].decode("utf-8", "replace"))
    vendor, version = stated.get("ID", ""), stated.get("VERSION_ID", "")
    return {
        key("os.vendor"): vendor,
        key("os.version"): version,
        key("os.name"): stated.get("PRETTY_NAME", ""),
        key("os.release"): _point_release(vendor, version, stated, files),
    }


def _point_release(vendor: str, version: str, stated: Mapping[str, str], files: Mapping[str, bytes]) -> str:
    """Return the full release, such as ``22.04.3``, where the image states one that begins with its version."""
    texts = [stated.get("PRETTY_NAME", ""), stated.get("VERSION", ""), version]
    if vendor == "debian":
        texts.insert(0, files.get(_DEBIAN_VERSION, b"")[:100].decode("utf-8", "replace"))
    for text in texts:
        match = re.search(r"[0-9]+(?:\.[0-9]+)+", text)
        if match and version and (match[0] == version or match[0].startswith(version + ".")):
            return match[0]
    return ""


def _shell_variables(text: str) -> dict[str, str]:
    """Return the assignments of os-release(5): shell quoting, no expansion."""
    variables: dict[str, str] = {}
    for line in text.splitlines():
        name, separator, value = line.strip().partition("=")
        if not separator or name.startswith("#"):
            continue
        try:
            words = shlex.split(value)
        except ValueError:
            continue  # an unclosed quote: this line states nothing
        variables[name] = words[0] if words else ""
    return variables


def _libc(files: Mapping[str, bytes], architecture: str) -> dict[str, str]:
    """Return the C library; nothing where there are two, since then nobody says which the software uses."""
    glibc = [match[1] for p in _glibc_paths(architecture) if p in files for match in _GLIBC_BANNER.finditer(files[p])]
    musl = any(path in files for path in _musl_paths(architecture))
    if musl and not glibc:
        packaged = _APK_MUSL.search(files.get(_APK_DATABASE, b""))
        version = packaged[1].decode() if packaged else ""
        return {key("system.libc.name"): "musl", key("system.libc.version"): version}
    if not musl and len(set(glibc)) == 1:
        return {key("system.libc.name"): "glibc", key("system.libc.version"): glibc[0].decode()}
    return {}


def _glibc_paths(architecture: str) -> tuple[str, ...]:
    triplet = _ARCHITECTURES.get(architecture, ("", "", ""))[1]
    folders = ("lib64", "usr/lib64", "lib", "usr/lib", *((f"lib/{triplet}", f"usr/lib/{triplet}") if triplet else ()))
    return tuple(f"{folder}/libc.so.6" for folder in folders)


def _musl_paths(architecture: str) -> tuple[str, ...]:
    name = _ARCHITECTURES.get(architecture, ("", "", ""))[2]
    return (f"lib/ld-musl-{name}.so.1",) if name else ()
