"""The recipe of a record: what is built, what is kept, and what nobody can smuggle in."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import dockerfile
import pytest

import peers
from hpc3.containerize import RecipeOptions, recipe_from_source
from hpc3.errors import InputError
from hpc3.sources.easybuild_source import source_from_record
from unit.records import FOSS, MODULES, changed, module, record_document
from unit.snapshots import compare


def recipe(document: dict[str, Any] | None = None, **options: Any) -> str:
    data = json.dumps(document or record_document()).encode("ascii")
    return recipe_from_source(source_from_record(data, Path("record.json")), RecipeOptions(**options)).text


def test_recipe_is_what_was_reviewed(rerecord: bool) -> None:
    compare("easybuild/App-1.0.Dockerfile", recipe(), rerecord=rerecord)


def test_linters_pass(tmp_path: Path) -> None:
    peers.need_program("hadolint")
    path = tmp_path / "Dockerfile"
    path.write_text(recipe(), "utf-8")
    result = subprocess.run(["hadolint", str(path)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_build_only_modules_are_dropped() -> None:
    text = recipe()
    assert "rm -rf /opt/easybuild/software/CMake/3.31" in text
    assert "rm -f /opt/easybuild/modules/all/CMake/3.31 /opt/easybuild/modules/all/CMake/3.31.lua" in text
    app = {**MODULES[0], "dependencies": MODULES[0]["dependencies"][:-1]}
    assert "rm -rf /opt" not in recipe(record_document([app, *MODULES[2:]]))


def test_os_dependencies_become_packages_of_each_stage() -> None:
    build, final = recipe().split("\nFROM ${FINAL_IMAGE}")
    assert " libibverbs-dev " in build
    assert " libibverbs1 " in final
    assert "libibverbs-dev" not in final


def test_os_dependency_of_a_build_only_module_stays_out_of_the_image() -> None:
    final = recipe(record_document(changed("CMake", osdependencies=[["perl"]]))).split("\nFROM ${FINAL_IMAGE}")[1]
    assert " perl" not in final


def test_os_dependency_without_a_row_is_named() -> None:
    document = record_document(changed("UCX", osdependencies=[["left-pad", "right-pad"]]))
    with pytest.raises(InputError, match=r"left-pad or right-pad.*--external left-pad="):
        recipe(document)
    assert " libpad " in recipe(document, externals={"right-pad": ("libpad",)})
    assert "libpad" not in recipe(document, externals={"right-pad": ()})


def test_wrapped_software_becomes_packages() -> None:
    document = record_document(changed("OpenMPI", wrapper=True, sources=[]))
    build, final = recipe(document).split("\nFROM ${FINAL_IMAGE}")
    assert " libopenmpi-dev " in build
    assert " openmpi-bin " in final.replace("\n", " ") or "openmpi-bin \\" in final


def test_what_the_build_links_to_the_system_is_in_the_image_too() -> None:
    openssl = module("OpenSSL", "3", easyblock="EB_OpenSSL_wrapper", sources=[])
    build, final = recipe(record_document([module("App", "1.0", "OpenSSL/3"), openssl])).split("\nFROM ${FINAL_IMAGE}")
    assert " libssl-dev " in build
    assert " libssl3 " in final


@pytest.mark.parametrize(
    ("optarch", "option"),
    [
        ("GENERIC", "--optarch=GENERIC"),
        ("", "'--optarch=march=znver3 -mtune=znver3'"),
        ("march=x86-64-v3 -mtune=generic", "'--optarch=march=x86-64-v3 -mtune=generic'"),
        ({"GCC": "march=znver2"}, "--optarch=GCC:march=znver2"),
    ],
)
def test_processor_of_the_record_is_built_for(optarch: Any, option: str) -> None:
    assert f" {option} " in recipe(record_document(optarch=optarch))


def test_processor_that_is_not_known_is_an_error() -> None:
    with pytest.raises(InputError, match="the processor is not known"):
        recipe(record_document(optarch="march=rubbish"))


def test_options_of_the_session_are_kept() -> None:
    document = record_document()
    document["session"]["options"] = {"cuda-compute-capabilities": "8.0,9.0", "disable-rpath": "", "filter-deps": "a b"}
    text = recipe(document)
    for option in ("--cuda-compute-capabilities=8.0,9.0", "--disable-rpath", "'--filter-deps=a b'"):
        assert f" {option} " in text


def test_files_of_the_site_are_copied_and_used() -> None:
    places = ("easyblocks/app.py", "easyconfigs/App-1.0.eb", "hooks/site.py", "sources/app 1.tgz")
    text = recipe(record_document(files=[{"place": place, "sha256": "3" * 64} for place in places]))
    assert "--include-easyblocks=/opt/easybuild-files/easyblocks/app.py" in text
    assert "--hooks=/opt/easybuild-files/hooks/site.py" in text
    assert 'COPY ["sources/app 1.tgz", "/opt/easybuild-files/sources/"]' in text
    with pytest.raises(InputError, match="take its name for a pattern"):
        recipe(record_document(files=[{"place": "sources/[x]*.tgz", "sha256": "3" * 64}]))


def test_installed_record_gives_the_environment_of_the_modules() -> None:
    environment = [
        {"name": "PATH", "values": ["@SOFTWARE@/App/1.0/bin"]},
        {"name": "EBROOTAPP", "values": ["@SOFTWARE@/App/1.0"]},
    ]
    installed = [
        {**m, "installed": True, "built": {"optarch": "GENERIC", "target": "zen3", "evidence": "hpc3.json"}}
        for m in MODULES
    ]
    text = recipe(record_document(installed, state="installed", environment=environment))
    assert "Its environment is what the installed modules gave." in text
    assert 'EBROOTAPP="/opt/easybuild/software/App/1.0"' in text
    assert "EBROOTUCX" not in text


def test_plan_foresees_the_environment() -> None:
    document = record_document(
        changed(
            "App", module_variables={"APP_DATA": "%(installdir)s/data"}, module_paths={"PYTHONPATH": ["lib/python"]}
        )
    )
    text = recipe(document)
    assert 'APP_DATA="/opt/easybuild/software/App/1.0/data"' in text
    assert 'PYTHONPATH="/opt/easybuild/software/App/1.0/lib/python${PYTHONPATH:+:$PYTHONPATH}"' in text
    assert 'PATH="/opt/easybuild/software/App/1.0/bin:' in text


def test_hierarchical_modules_are_loaded_in_order() -> None:
    load = {"paths": ["Core"], "modules": ["GCC/14.3.0", "App/1.0"]}
    text = recipe(record_document(load=load))
    assert "'module use /opt/easybuild/modules/all/Core'" in text
    assert text.index("'module load GCC/14.3.0'") < text.index("'module load App/1.0'")


def test_image_is_the_system_of_the_record_or_the_one_asked_for() -> None:
    assert 'ARG BUILD_IMAGE="docker.io/library/debian:12"' in recipe()
    assert 'ARG BUILD_IMAGE="rockylinux:9"' in recipe(image="rockylinux:9")
    document = record_document()
    document["session"]["host"].update(os="", os_version="")
    with pytest.raises(InputError, match="--image"):
        recipe(document)
    with pytest.raises(InputError, match=r"the system of the image example\.org/x is not known"):
        recipe(document, image="example.org/x")
    # A site's own image is taken for the system that the record was made on.
    assert "apt-get" in recipe(image="example.org/x")


@pytest.mark.parametrize("text", ['"; rm -rf / #', "$(id)", "`id`", "\\", "'", "${HOME}", "a\u2028b"])
def test_hostile_texts_stay_texts(text: str) -> None:
    document = record_document(changed("App", description=text, homepage=text, module_variables={"X": text}))
    commands = dockerfile.parse_string(recipe(document))
    assert [command.cmd.upper() for command in commands].count("LABEL") == 1
    environment = next(command.value for command in commands if command.cmd.upper() == "ENV")
    position = list(environment).index("X")
    assert environment[position + 1] == '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$") + '"'


def test_line_break_in_a_variable_is_refused() -> None:
    with pytest.raises(InputError):
        recipe(record_document(changed("App", module_variables={"X": "a\nRUN id"})))


def test_compiler_that_cannot_build_for_the_target_is_an_error() -> None:
    old = [module("App", "1", "GCC/4.4.7", toolchain=FOSS), module("GCC", "4.4.7")]
    with pytest.raises(InputError, match=r"gcc 4\.4\.7 cannot build for zen3|archspec does not tell"):
        recipe(record_document(old, optarch=""))
