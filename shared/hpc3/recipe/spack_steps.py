"""The steps of a build with Spack: bootstrap, preflight, install from the lock, what the final stage takes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from hpc3.facts import CpuTarget, Fact, Facts, Known
from hpc3.request import ENVIRONMENT_PATH, GitSource, Mirror
from hpc3.tables import Row

from .contract import DOCUMENTS_PATH
from .plan import Argument, Mount, Run, Shell, Statement, Write

SPACK_PATH = "/opt/spack"
PACKAGES_PATH = "/opt/spack-packages"
STORE_PATH = "/opt/software"
VIEW_PATH = "/opt/views/view"
CACHE_PATH = "/var/cache/hpc3"

#: Spack on the environment, installing to the store whatever the environment's own configuration says.
_DEFINE_SPACK = Shell(f"spack='{SPACK_PATH}/bin/spack -c config:install_tree:root:{STORE_PATH} -e {ENVIRONMENT_PATH}'")
SPACK = Shell("${spack}")

SOURCE_MIRROR_ARGUMENT = Argument("SPACK_MIRROR", "", "Mirror of source archives, for sites without the internet (URL)")

_CACHE_MOUNTS = (
    Mount("cache", "hpc3-spack-sources", f"{CACHE_PATH}/sources"),
    Mount("cache", "hpc3-spack-binaries", f"{CACHE_PATH}/binaries"),
)


def spack_arguments(spack: GitSource, packages: GitSource | None) -> tuple[Argument, ...]:
    """Return the arguments that point the recipe to Spack and its packages."""
    found = [
        Argument("SPACK_URL", spack.url, "Where Spack is cloned from"),
        Argument("SPACK_REF", spack.ref, "The Spack that the lock was written by"),
    ]
    if packages is not None:
        found.append(Argument("SPACK_PACKAGES_URL", packages.url, "Where Spack's package repository is cloned from"))
        found.append(Argument("SPACK_PACKAGES_REF", packages.ref, "The package repository that goes with the lock"))
    return (*found, SOURCE_MIRROR_ARGUMENT)


def check_system(system: Row | None, target: Fact[CpuTarget]) -> Run | None:
    """Return the step that stops where the image is another system or machine than the lock's; None: not known."""
    variables: dict[str, str] = {}
    statements: list[Statement] = []
    if system is not None:
        variables["system"] = f"{system['vendor']} {system['version']}"
        statements.append(Shell(". /etc/os-release"))
        statements.append(
            Shell(
                'case "${ID} ${VERSION_ID-}" in "${system}"|"${system}".*) ;;\n'
                '    *) echo "this image is ${ID} ${VERSION_ID-}, the lock is for ${system}" >&2; exit 1 ;; esac'
            )
        )
    if isinstance(target, Known):
        machine = target.value.family  # archspec's families have the names that uname gives
        complaint = f"this machine is not {machine}, for which the lock was made"
        statements.append(_check(("uname", "-m"), machine, complaint))
    if not statements:
        return None
    return Run("Stop unless this is the system that the lock was concretized for", tuple(statements), variables)


def check_toolchain(facts: Facts) -> Run | None:
    """Return the step that stops where compilers or C library are not those of the lock; None: nothing to check."""
    statements: list[Statement] = []
    for name, version, command in _external_compilers(facts):
        flag = "-dumpfullversion" if name == "gcc" else "-dumpversion"
        statements.append(_check((command, flag), version, f"{name} is not {version}, which the lock names"))
    if isinstance(facts.libc, Known) and facts.libc.value.name == "glibc":
        version = facts.libc.value.version
        statements.append(
            _check(("getconf", "GNU_LIBC_VERSION"), f"glibc {version}", f"the C library is not glibc {version}")
        )
    if not statements:
        return None
    return Run("Stop unless compiler and C library are those that the lock names", tuple(statements))


def _check(command: Sequence[str], expected: str, complaint: str) -> Statement:
    return (
        Shell('if test "$('), *command, Shell(')" !='), expected,
        Shell("; then echo"), complaint, Shell(">&2; exit 1; fi"),
    )  # fmt: skip


def _external_compilers(facts: Facts) -> list[tuple[str, str, str]]:
    """Return (name, version, command) of the GCC and Clang that the lock finds on the build system."""
    commands = {"gcc": "gcc", "llvm": "clang", "clang": "clang"}
    found: set[tuple[str, str, str]] = set()
    for component in facts.components.values():
        if component.external is not None and component.name in commands:
            found.add((component.name, component.version, f"{component.external.path}/bin/{commands[component.name]}"))
        elif component.compiler and component.external is None:
            name, _, version = component.compiler.partition("@")
            if name in commands:
                found.add((name, version, commands[name]))
    return sorted(found)


def bootstrap_spack(facts: Facts, packages: GitSource | None) -> Run:
    """Return the step that clones the pinned Spack, unless the image has that version, and its packages."""
    statements: list[Statement] = [
        Shell(f"if [ ! -x {SPACK_PATH}/bin/spack ]; then\n{_clone(SPACK_PATH, 'SPACK')}; fi"),
    ]
    if facts.manager.version:
        statements.append(
            Shell(
                f'case "$({SPACK_PATH}/bin/spack --version)" in "${{version}}"*) ;;\n'
                '    *) echo "this image brings another Spack than ${version}" >&2; exit 1 ;; esac'
            )
        )
    if packages is not None:
        statements.append(Shell(_clone(PACKAGES_PATH, "SPACK_PACKAGES").strip()))
    names = ["SPACK_URL", "SPACK_REF", *(("SPACK_PACKAGES_URL", "SPACK_PACKAGES_REF") if packages else ())]
    return Run(
        "The pinned Spack and its packages, unless the image brings that Spack",
        tuple(statements),
        variables={"version": facts.manager.version} if facts.manager.version else {},
        arguments=tuple(names),
    )


def _clone(folder: str, argument: str) -> str:
    # A fetch of one ref, not a clone: commits, tags and branches alike, and only what is needed.
    return (
        f'    git init -q {folder} && git -C {folder} fetch -q --depth 1 "${{{argument}_URL}}" "${{{argument}_REF}}"\n'
        f"    && git -C {folder} -c advice.detachedHead=false checkout -q FETCH_HEAD"
    )


def configuration(facts: Facts, packages: GitSource | None) -> Iterable[Write]:
    """Return Spack's configuration of the build stage: caches, and the packages that were cloned."""
    config = {"config": {"source_cache": f"{CACHE_PATH}/sources"}}
    yield Write("Downloads are kept between builds", "/etc/spack/config.yaml", _as_yaml(config))
    if _has_autopush(facts.manager.version):
        mirror = {"url": f"file://{CACHE_PATH}/binaries", "signed": False, "autopush": True}
        yield Write(
            "Compiled packages are kept between builds",
            "/etc/spack/mirrors.yaml",
            _as_yaml({"mirrors": {"hpc3": mirror}}),
        )
    if packages is not None:
        repositories = {"repos": {"builtin": f"{PACKAGES_PATH}/repos/spack_repo/builtin"}}
        yield Write("The packages that were cloned", "/etc/spack/repos.yaml", _as_yaml(repositories))


def _has_autopush(version: str) -> bool:
    """``autopush`` of mirrors came with Spack 0.22 (its changelog: "Mirrors can be configured to autopush")."""
    major, _, rest = version.partition(".")
    return not (major == "0" and rest.split(".")[0].isdigit() and int(rest.split(".")[0]) < 22)


def _as_yaml(document: object) -> bytes:
    # JSON is YAML: no writer of YAML is needed where only the standard library is there.
    return (json.dumps(document, sort_keys=True) + "\n").encode("utf-8")


def concretize_in_build(target: str) -> Run:
    """Return the step that concretizes for the image's own system, with the target as a requirement."""
    require = json.dumps([f"target={target}"])
    return Run(
        "Concretize for this image's system; the lock that comes out is kept",
        (_DEFINE_SPACK, (SPACK, "-c", f"packages:all:require:{require}", "concretize", "-f")),
    )


def install(mirrors: Iterable[Mirror], *, digest: str, depfile: bool, roots: Sequence[str]) -> Run:
    """Return the step that installs from the lock and proves that the lock is still the same afterwards.

    Args:
        mirrors: mirrors of the environment; their credentials are secrets of the build.
        digest: hexadecimal SHA-256 of the lock; empty where the lock was made in the build.
        depfile: whether the install goes through Spack's Makefile.
        roots: hashes of the roots to install; empty: all.
    """
    secrets = sorted({secret for mirror in mirrors for secret in mirror.secrets})
    statements: list[Statement] = [
        Shell(f'if [ -f /run/secrets/{name} ]; then {name}="$(cat /run/secrets/{name})"; export {name}; fi')
        for name in secrets
    ]
    statements.append(_DEFINE_SPACK)
    add_mirror = f'{SPACK_PATH}/bin/spack mirror add --scope system hpc3-site "${{SPACK_MIRROR}}"'
    statements.append(Shell(f'if [ -n "${{SPACK_MIRROR}}" ]; then {add_mirror}; fi'))
    if uses_build_cache(mirrors):
        statements.append((SPACK, "buildcache", "keys", "--install", "--trust"))
    check = Shell(
        f'if test "$(sha256sum < {ENVIRONMENT_PATH}/spack.lock)" != "${{lock}}  -"; then\n'
        '    echo "spack.lock is not the one that this recipe was written for" >&2; exit 1; fi'
    )
    statements.extend([check] if digest else [])
    statements.append((SPACK, "env", "view", "enable", VIEW_PATH))
    statements.extend(_install_statements(depfile=depfile, roots=roots))
    statements.append((SPACK, "gc", "-y"))
    statements.extend([check] if digest else [])
    return Run(
        "Install from the lock, on all cores that the build is given; keep what runs; the lock must stay as it was",
        tuple(statements),
        variables={"lock": digest} if digest else {},
        arguments=(SOURCE_MIRROR_ARGUMENT.name,),
        mounts=(*_CACHE_MOUNTS, *(Mount("secret", name, f"/run/secrets/{name}") for name in secrets)),
    )


def uses_build_cache(mirrors: Iterable[Mirror]) -> bool:
    """Whether compiled packages may come from elsewhere: their signatures are then checked."""
    return any(mirror.binary for mirror in mirrors)


def _install_statements(*, depfile: bool, roots: Sequence[str]) -> list[Statement]:
    if not depfile:
        return [(SPACK, "install", "--fail-fast", "-j", Shell('"$(nproc)"'), *(f"/{root}" for root in roots))]
    makefile = "/tmp/spack.mk"  # noqa: S108 - a path in the build stage
    return [
        (SPACK, "env", "depfile", "-o", makefile, *(f"/{root}" for root in roots)),
        # The Makefile names the environment itself, and would call whatever "spack" is on PATH.
        ("make", "-f", makefile, Shell('SPACK="${spack% -e *}"'), "-j", Shell('"$(nproc)"')),
        (SPACK, "env", "view", "regenerate"),
    ]


def strip_binaries() -> Run:
    """Return the step that removes symbols which only a debugger reads; archives keep theirs, to be linked with."""
    return Run(
        "Strip programs and shared libraries",
        (
            Shell(
                f"find {STORE_PATH} -type f \\( -perm -u+x -o -name '*.so*' \\) -exec sh -c\n"
                '    \'for f do case "$(file -b "$f")" in ELF*executable*|ELF*"shared object"*)\n'
                '    strip --strip-unneeded "$f" || exit 1 ;; esac; done\' sh {} +'
            ),
        ),
    )


def forget_builder() -> Run:
    """Return the step that removes what Spack keeps of the build: logs, and the builder's environment."""
    return Run(
        "Leave the builder's logs and environment behind; everyone may read the rest",
        (
            Shell(
                f"find {STORE_PATH} -path '*/.spack/*'\n"
                "    \\( -name 'spack-build-*' -o -name install_environment.json \\) -delete"
            ),
            Shell(f"mkdir -p {DOCUMENTS_PATH} /opt/views"),
            Shell(f"chmod -R a+rX {STORE_PATH} /opt/views {ENVIRONMENT_PATH}/spack.yaml {ENVIRONMENT_PATH}/spack.lock"),
        ),
    )
