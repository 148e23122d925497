"""The steps of a build with EasyBuild: bring it, install, drop what only the build needed, make ``module`` work."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from hpc3.behaviour import RECIPE_PROFILE
from hpc3.request import EASYBUILD_MODULES, EASYBUILD_SOFTWARE, EasyBuildRequest, EnvironmentChange
from hpc3.tables import Row

from .contract import DOCUMENTS_PATH, profile_script
from .plan import Argument, Copy, Mount, Run, Shell, Statement, Write

EASYBUILD_PATH = "/opt/easybuild-venv"
FILES_PATH = "/opt/easybuild-files"
INSTALL_PATH = "/opt/easybuild"
SOURCES_CACHE = "/var/cache/hpc3/easybuild-sources"

# EasyBuild takes every variable that begins with EASYBUILD_ for an option and refuses what it does not know.
VERSION_ARGUMENT = "EB_RELEASE"
INDEX_ARGUMENT = Argument("PIP_INDEX_URL", "", "Python package index, for sites without the internet (URL)")
SOURCES_ARGUMENT = Argument("EB_SOURCES", "", "Where sources are looked for first, for such sites (URL)")

_OPTIONS_WITH_FILES = {"easyblocks": "--include-easyblocks", "hooks": "--hooks"}


def bootstrap_easybuild() -> Run:
    """Return the step that brings the pinned EasyBuild; it refuses a Lmod of the system that is too old for it."""
    return Run(
        "The pinned EasyBuild, in a Python environment of its own",
        (
            ("python3", "-m", "venv", EASYBUILD_PATH),
            Shell('if [ -n "${PIP_INDEX_URL}" ]; then export PIP_INDEX_URL; else unset PIP_INDEX_URL; fi'),
            (
                f"{EASYBUILD_PATH}/bin/pip",
                "install",
                "--quiet",
                "--no-cache-dir",
                Shell(f'"easybuild==${{{VERSION_ARGUMENT}}}"'),
            ),
        ),
        arguments=(VERSION_ARGUMENT, INDEX_ARGUMENT.name),
    )


def copy_files(request: EasyBuildRequest) -> Iterable[Copy]:
    """Return the copies of the site's own files."""
    meanings = {
        "easyconfigs": "Easyconfigs and patches of the site",
        "sources": "Sources that cannot be downloaded",
        "easyblocks": "Easyblocks of the site",
        "hooks": "Hooks of the site",
    }
    for folder, meaning in meanings.items():
        places = tuple(place for place in request.files if place.startswith(f"{folder}/"))
        if places:
            yield Copy(meaning, places, f"{FILES_PATH}/{folder}/")


def install(request: EasyBuildRequest, prerequisites: Row, optarch: str) -> Run:
    """Return the step that installs the easyconfig and its closure."""
    command: list[str | Shell] = [
        f"{EASYBUILD_PATH}/bin/eb",
        request.easyconfig,
        f"--robot={FILES_PATH}/easyconfigs:",
        f"--installpath={INSTALL_PATH}",
        f"--sourcepath={SOURCES_CACHE}:{FILES_PATH}/sources",
        "--buildpath=/tmp/easybuild",
        "--tmpdir=/tmp",
        "--modules-tool=Lmod",
        # The build stage has no other user, and nothing that root could harm.
        "--allow-use-as-root-and-accept-consequences",
    ]
    command += [f"--optarch={optarch}"] if optarch else []
    command += [f"--{name}={value}" if value else f"--{name}" for name, value in sorted(request.options.items())]
    for folder, option in _OPTIONS_WITH_FILES.items():
        places = [place for place in request.files if place.startswith(f"{folder}/")]
        if places:
            command.append(f"{option}={','.join(f'{FILES_PATH}/{place}' for place in places)}")
    command.append(Shell('"$@"'))
    return Run(
        "Install, for the processor that the labels name",
        (
            (Shell("."), f"{prerequisites['modules_init']}/sh"),
            Shell(f"export EB_PYTHON={EASYBUILD_PATH}/bin/python3 PATH=\"{EASYBUILD_PATH}/bin:${{PATH}}\""),
            ("mkdir", "-p", SOURCES_CACHE, f"{FILES_PATH}/easyconfigs"),
            Shell("set --"),
            Shell(f'if [ -n "${{{SOURCES_ARGUMENT.name}}}" ]; then\n'
                  f'    set -- "--extra-source-urls=${{{SOURCES_ARGUMENT.name}}}"; fi'),
            tuple(command),
        ),
        arguments=(SOURCES_ARGUMENT.name,),
        mounts=(Mount("cache", "hpc3-easybuild-sources", SOURCES_CACHE),),
        lint=("SC1091",),
    )  # fmt: skip


def drop_build_only(request: EasyBuildRequest) -> Run | None:
    """Return the step that removes what the runtime closure does not need; None where that is nothing."""
    if not request.build_only:
        return None
    software = tuple(f"{EASYBUILD_SOFTWARE}/{module.software}" for module in request.build_only)
    files = tuple(f"{EASYBUILD_MODULES}/{module.file}{end}" for module in request.build_only for end in ("", ".lua"))
    statements: list[Statement] = [("rm", "-rf", *software), ("rm", "-f", *files)]
    return Run("Drop what only the build needed", tuple(statements))


def forget_builder() -> Run:
    """Return the step that removes what EasyBuild keeps of the build: logs and reports, which name the builder."""
    kept = f"{EASYBUILD_SOFTWARE} {EASYBUILD_MODULES}"
    return Run(
        "Leave the logs and reports of the build behind; everyone may read the rest",
        (
            Shell(
                f"find {EASYBUILD_SOFTWARE} -path '*/easybuild/*' \\( -name '*.log' -o -name '*.log.*'\n"
                "    -o -name '*_test_report.md' -o -name '*-easybuild-devel' \\) -delete"
            ),
            Shell(f"mkdir -p {kept} {DOCUMENTS_PATH}"),
            Shell(f"chmod -R a+rX {INSTALL_PATH}"),
        ),
    )


def login_script(environment: Iterable[EnvironmentChange], request: EasyBuildRequest, prerequisites: Row) -> Write:
    """Return the script of the contract, which first defines ``module`` and loads the software's.

    In that order: Lmod counts who put a folder on PATH, and ``module purge`` takes away only what a module put there.
    """
    script = profile_script(environment)
    paths = " ".join(shlex.quote(f"{EASYBUILD_MODULES}/{path}".rstrip("/")) for path in request.load_paths)
    init = prerequisites["modules_init"]
    lines = [
        "# The module command, and the modules loaded that give the environment below: nothing of it is left to do.",
        f'if [ -n "${{BASH_VERSION-}}" ]; then . {init}/bash; else . {init}/sh; fi',
        f"module use {paths}",
        *(f"module load {shlex.quote(module)}" for module in request.load_modules),
    ]
    return Write(
        "Login shells get the same environment, and the module command",
        script.path,
        ("\n".join(lines) + "\n").encode("utf-8") + script.content,
        lint=script.lint,
    )


def interactive_shells(prerequisites: Row) -> Run:
    """Return the step that gives ``module`` to interactive shells that are no login shells."""
    line = f'if [ -n "${{PS1-}}" ]; then . {RECIPE_PROFILE}; fi'
    return Run(
        "Interactive shells that are no login shells get the same",
        (("printf", "%s\\n", line, Shell(">>"), prerequisites["shell_startup"]),),
        lint=("SC2016",),
    )
