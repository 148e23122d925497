"""HPCCM's text with our end, read as builders read it."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

import peers
from hpc3.annotations import annotations_for
from hpc3.containerize import RecipeOptions, recipe_from_source
from hpc3.errors import UsageError
from hpc3.request import EnvironmentChange, HpccmRequest
from hpc3.sources.source import Source
from unit.conftest import Refused
from unit.hpccm_answers import application, base, facts, layer
from unit.recipe import buildkit
from unit.recipe.definition_parser import parse_definition

CUDA = "nvcr.io/nvidia/cuda:12.6.3-runtime-ubuntu22.04"
DOCKERFILE = f"""# The recipe's own comment

FROM {CUDA} AS build
RUN cd /var/tmp/x && \\
    make -j$(nproc)
ENV A=build

FROM {CUDA}
COPY --from=build /usr/local/gromacs /usr/local/gromacs
ENV GREETING='it"s me' \\
    PATH=/usr/local/gromacs/bin:$PATH
USER 1000
ENTRYPOINT ["/entrypoint.sh"]
LABEL org.opencontainers.image.title=other
"""
DEFINITION = f"""BootStrap: docker
From: {CUDA}
Stage: build
%post
    make

BootStrap: docker
From: {CUDA}
%files from build
    /usr/local/gromacs /usr/local/gromacs
%environment
    export PATH=/usr/local/gromacs/bin:$PATH
%labels
    hpccm.note told
"""
CHANGES = (
    EnvironmentChange("prepend", "PATH", "/usr/local/cuda/bin"),
    EnvironmentChange("set", "GREETING", 'it"s me'),
    EnvironmentChange("prepend", "PATH", "/usr/local/gromacs/bin"),
)
REQUEST = HpccmRequest("recipe.py", "26.5.0", "--userarg a=b", DOCKERFILE, DEFINITION, "", CHANGES, "1000")
STATED = facts([base(CUDA), layer("gnu", version="12"), application("-D CMAKE_CUDA_ARCHITECTURES=80")])
SOURCE = Source(STATED, REQUEST, files={"recipe.py": b"# the recipe\n"})


def recipe(source: Source = SOURCE, form: str = "docker") -> str:
    return recipe_from_source(source, RecipeOptions(format=form)).text


def test_hpccm_s_own_text_stays_as_it_is() -> None:
    assert DOCKERFILE in recipe()
    assert DEFINITION.rstrip("\n") in recipe(form="apptainer")


def test_header_says_where_it_comes_from() -> None:
    assert recipe().startswith("# recipe.py by HPCCM 26.5.0 with --userarg a=b.\n")


def test_what_hpccm_was_run_with_stays_a_comment() -> None:
    request = replace(REQUEST, arguments="--userarg a=\nRUN evil")
    text = recipe(replace(SOURCE, request=request))
    assert text.startswith("# recipe.py by HPCCM 26.5.0 with --userarg a=\\nRUN evil.\n")


def test_image_keeps_the_contract_whatever_the_recipe_said() -> None:
    last = {instruction.cmd.upper(): instruction.value for instruction in buildkit.instructions(recipe())}
    assert last["ENTRYPOINT"] == ()
    assert last["CMD"] == ("/bin/bash", "-l")
    assert last["WORKDIR"] == ("/",)
    assert last["USER"] == ("0",)


def test_our_labels_are_the_last() -> None:
    labels = buildkit.labels(recipe())
    expected = annotations_for(STATED).labels()
    assert expected["org.opencontainers.image.title"] == "gromacs"
    assert labels == expected


def test_documents_are_written_without_an_unpacker() -> None:
    text = recipe()
    assert "bzip2" not in text
    assert 'COPY ["recipe.py", "/usr/share/hpc3/"]' in text


def test_steps_write_what_they_should(tmp_path: Path) -> None:
    """The last stage's own steps, run by a shell: files as they are meant to be in the image."""
    steps = [
        i.value[0] for i in buildkit.instructions(recipe()) if i.cmd.upper() == "RUN" and "mkdir -p /" in i.value[0]
    ]
    for step in steps:
        moved = step.replace(" /usr/share/hpc3", f" {tmp_path}/hpc3").replace(
            " /etc/profile.d", f" {tmp_path}/profile.d"
        )
        subprocess.run(["sh", "-c", moved], check=True)
    assert json.loads((tmp_path / "hpc3" / "annotations.json").read_text()) == annotations_for(STATED).values
    assert json.loads((tmp_path / "hpc3" / "sbom.cdx.json").read_text())["bomFormat"] == "CycloneDX"
    script = f'. {tmp_path}/profile.d/zz-hpc3.sh; . {tmp_path}/profile.d/zz-hpc3.sh; echo "$PATH|$GREETING"'
    said = subprocess.run(
        ["sh", "-c", script], env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True
    ).stdout
    assert said == '/usr/local/gromacs/bin:/usr/local/cuda/bin:/usr/bin:/bin|it"s me\n'


def test_nvidia_s_hook_is_asked() -> None:
    environment = buildkit.environment(recipe(), {})
    assert environment["NVIDIA_VISIBLE_DEVICES"] == "all"


def test_hadolint_finds_nothing(tmp_path: Path) -> None:
    peers.need_program("hadolint")
    (tmp_path / "Dockerfile").write_text(recipe())
    done = subprocess.run(["hadolint", str(tmp_path / "Dockerfile")], capture_output=True, text=True, check=False)
    assert done.stdout == ""


def test_definition_file_has_two_stages_and_ours_is_the_last() -> None:
    first, last = parse_definition(recipe(form="apptainer"))
    assert first.header["stage"] == "build"
    assert first.labels == {}
    assert last.files == {
        "from build": [("/usr/local/gromacs", "/usr/local/gromacs")],
        "": [("recipe.py", "/usr/share/hpc3/")],
    }
    assert last.labels == {"hpccm.note": "told", **annotations_for(STATED).labels()}
    assert 'exec "$@"' in last.scripts["runscript"]
    assert last.scripts["environment"].startswith("    export PATH=/usr/local/gromacs/bin:$PATH\n")
    assert "/usr/share/hpc3/annotations.json" in last.scripts["post"]


def test_definition_file_that_hpccm_does_not_make(refused: Refused) -> None:
    faulty = replace(SOURCE, request=replace(REQUEST, definition="", definition_fault="RuntimeError: no\nstage"))
    with refused("recipe.py", "RuntimeError: no stage"):
        recipe(faulty, "apptainer")


def test_definition_file_with_a_runscript_is_refused(refused: Refused) -> None:
    definition = f"{DEFINITION}%runscript\n    exec run\n"
    with refused("recipe.py", "has a runscript"):
        recipe(replace(SOURCE, request=replace(REQUEST, definition=definition)), "apptainer")


@pytest.mark.parametrize(
    "options", [RecipeOptions(image="debian:12"), RecipeOptions(externals={"a": ()}), RecipeOptions(in_build=True)]
)
def test_options_that_say_what_the_recipe_says(options: RecipeOptions) -> None:
    with pytest.raises(UsageError, match="do not go with HPCCM"):
        recipe_from_source(SOURCE, options)
