"""Definition files, read as Apptainer reads them; their scripts run by the shells that would run them."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import peers
from hpc3.containerize import RecipeOptions, recipe_from_source
from hpc3.errors import InputError
from hpc3.recipe.apptainer import SECTION_LIMIT, render_definition
from hpc3.recipe.contract import DEFAULT_PATH
from hpc3.recipe.dockerfile import label_instruction
from hpc3.recipe.plan import Argument, Copy, Mount, Plan, Run, Shell, Stage, Write
from hpc3.request import EnvironmentChange
from hpc3.sources import read_source
from unit.conftest import Refused
from unit.locks import COUNTS, environment_folder
from unit.recipe.definition_parser import ParsedStage, parse_definition

#: Every environment whose roots fit together, and what its recipe has to be asked with.
IN_BUILD = RecipeOptions(format="apptainer", in_build=True)
OPTIONS = {name: RecipeOptions(format="apptainer") for name in COUNTS if "multi" not in name}
OPTIONS["v0.23.1/gromacs-openmpi-zen3"] = OPTIONS["v1.1.0/gromacs-mpich-cuda-skx"] = IN_BUILD
OPTIONS["v1.1.0/osu-external-openmpi"] = RecipeOptions(format="apptainer", externals={"openmpi": ("openmpi-bin",)})

NOTHING = Plan(
    header=("A header: with {{ BRACES }}",),
    arguments=(Argument("BUILD_IMAGE", "debian:12", "Build"), Argument("FINAL_IMAGE", "debian:12", "Final")),
    stages=(Stage("build", "BUILD_IMAGE", ()), Stage("final", "FINAL_IMAGE", ())),
    environment=(),
    labels={},
)


def definition_of(name: str) -> str:
    return recipe_from_source(read_source(environment_folder(name)), OPTIONS[name]).text


def parsed(plan: Plan) -> tuple[ParsedStage, ParsedStage]:
    build, final = parse_definition(render_definition(plan))
    return build, final


def with_steps(*steps: Run | Copy | Write) -> Plan:
    return replace(NOTHING, stages=(replace(NOTHING.stages[0], steps=steps), NOTHING.stages[1]))


def run_post(stage: ParsedStage, shell: str = "sh") -> subprocess.CompletedProcess[str]:
    """Run a stage's %post as Apptainer does; here it may only do what a user may."""
    return subprocess.run([shell, "-ex"], input=stage.scripts["post"], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", OPTIONS)
def test_apptainer_reads_every_recipe(name: str) -> None:
    text = definition_of(name)
    build, final = parse_definition(text)
    assert build.header == {"bootstrap": "docker", "from": build.arguments["BUILD_IMAGE"], "stage": "build"}
    assert final.header == {"bootstrap": "docker", "from": final.arguments["FINAL_IMAGE"], "stage": "final"}
    docker = recipe_from_source(read_source(environment_folder(name)), replace(OPTIONS[name], format="docker")).text
    assert label_instruction(final.labels) in docker
    assert set(final.scripts) <= {"arguments", "post", "environment", "runscript", "labels"}
    assert (("spack.lock", "/opt/spack-environment/") in build.files[""]) != OPTIONS[name].in_build
    assert ("/opt/software", "/opt/") in final.files["from build"]
    assert text == definition_of(name)


@pytest.mark.parametrize("name", OPTIONS)
def test_the_scripts_of_every_recipe_pass_shellcheck(name: str, tmp_path: Path) -> None:
    peers.need_program("shellcheck")
    for stage in parse_definition(definition_of(name)):
        for section, text in stage.scripts.items():
            if section in ("post", "environment", "runscript"):
                script = tmp_path / f"{stage.header['stage']}-{section}.sh"
                script.write_text(f"#!/bin/sh\n{text}")
                # 1091: /etc/os-release is the image's; 2016: text for other shells; 2086: $spack is words on purpose.
                command = ["shellcheck", "-s", "sh", "-e", "SC1091,SC2016,SC2086", str(script)]
                result = subprocess.run(command, capture_output=True, text=True, check=False)
                assert result.returncode == 0, result.stdout


def test_an_argument_can_be_replaced_and_an_empty_one_is_empty() -> None:
    step = Run("Say", (Shell('printf "<%s>" "${MIRROR}" "${URL}"'),), arguments=("MIRROR", "URL"))
    arguments = (*NOTHING.arguments, Argument("MIRROR", "", "M"), Argument("URL", "https://a/?b=c#d", "U"))
    text = render_definition(replace(with_steps(step), arguments=arguments))
    assert run_post(parse_definition(text)[0]).stdout == "<><https://a/?b=c#d>"
    replaced = parse_definition(text, {"MIRROR": "file:///m", "BUILD_IMAGE": "debian:13"})[0]
    assert run_post(replaced).stdout == "<file:///m><https://a/?b=c#d>"
    assert replaced.header["from"] == "debian:13"
    assert "MIRROR" not in parse_definition(text)[1].arguments


@pytest.mark.parametrize("shell", ["sh", "bash", "dash"])
@pytest.mark.parametrize("failing", ["false", "false && true", "if true; then false && true; fi"])
def test_the_first_statement_that_fails_ends_the_build(failing: str, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    steps = (Run("One", (Shell("echo one"), Shell(failing), Shell("echo two"))), Run("Two", (Shell("echo three"),)))
    result = run_post(parsed(with_steps(*steps))[0], shell)
    assert (result.returncode != 0, result.stdout) == (True, "one\n")


def test_a_step_leaves_nothing_to_the_next() -> None:
    one = Run("One", (Shell("cd /usr && set -- a b && other=1"),), variables={"mine": "1"})
    two = Run("Two", (Shell('printf "%s" "$# ${mine-none} ${other-none}"'), Shell("pwd")))
    where = subprocess.run(["pwd"], capture_output=True, text=True, check=True).stdout
    assert run_post(parsed(with_steps(one, two))[0]).stdout == f"0 none none{where}"


@settings(deadline=None)  # it starts a shell
@given(st.text(max_size=40))
def test_a_foreign_word_reaches_the_command_unchanged(word: str) -> None:
    plan = with_steps(Run("Say", (("printf", "%s.", word, Shell('"${v}"')),), variables={"v": word}))
    try:
        build, _ = parsed(plan)
    except InputError:
        assert not word.isprintable()
        return
    assert run_post(build).stdout == f"{word}.{word}."


@pytest.mark.parametrize(
    "word", ["{{ x }}", "{{{{x}}}}", "'{{ BUILD_IMAGE }}'", "{{{", "%post", "bootstrap: docker", "$(id)"]
)
def test_words_that_apptainer_or_the_shell_read_reach_the_command_unchanged(word: str) -> None:
    build, _ = parsed(with_steps(Run("Say", (("printf", "%s", word),))))
    assert run_post(build).stdout == word


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("size", [40, 30_000, 300_000])
def test_a_written_file_is_the_same_however_large(tmp_path: Path, size: int, packed: bool) -> None:
    # Pseudo-random lines, so that compression does not make them small.
    lines = (f"{(place * 2654435761) % 2**64:x} {{{{ x }}}} it's\n" for place in range(size // 20))
    content = "".join(lines).encode()
    target = tmp_path / "folder with blank" / "file"
    text = render_definition(with_steps(Write("File", str(target), content, packed=packed)))
    result = run_post(parse_definition(text)[0])
    assert result.returncode == 0, result.stderr
    assert target.read_bytes() == content
    assert list(target.parent.iterdir()) == [target]
    assert max(len(section.encode()) for section in text.split("\n%")) <= SECTION_LIMIT + 100


def test_a_folder_is_copied_into_its_parent_and_a_file_into_its_folder() -> None:
    plan = with_steps(
        Copy("C", ("a b/c",), "/opt/a b/c/", folder=True),
        Copy("F", ("x.txt", "%y"), "/opt/"),
        Copy("S", ("/opt/software",), "/opt/software/", "other", folder=True),
    )
    build, _ = parsed(plan)
    assert build.files == {
        "": [("a b/c", "/opt/a b/"), ("x.txt", "/opt/"), ("%y", "/opt/")],
        "from other": [("/opt/software", "/opt/")],
    }


@pytest.mark.parametrize("name", ["a*b", "$HOME", "~/x", "a'b", 'a"b', "a\\b", "a\nb", "#a", "{a,b}", "", "[a]", " a"])
def test_a_name_that_files_would_expand_is_refused(name: str, refused: Refused) -> None:
    with refused("cannot be written"):
        render_definition(with_steps(Copy("C", (name,), "/opt/")))


def test_a_folder_under_another_name_is_refused(refused: Refused) -> None:
    with refused("another name"):
        render_definition(with_steps(Copy("C", ("a",), "/opt/b/", folder=True)))


def test_a_secret_comes_from_the_builders_environment_and_a_cache_is_nothing() -> None:
    mounts = (Mount("secret", "TOKEN", "/run/secrets/TOKEN"), Mount("cache", "c", "/var/cache/c"))
    text = render_definition(with_steps(Run("Fetch", (Shell("true"),), mounts=mounts)))
    assert "APPTAINERENV_TOKEN" in text
    assert "/var/cache/c" not in text


@pytest.mark.parametrize("value", ["it's", " a", "a ", "{{ X }}", "a\nb", "a\x00"])
def test_a_default_that_cannot_be_written_is_refused(value: str, refused: Refused) -> None:
    plan = replace(NOTHING, arguments=(Argument("BUILD_IMAGE", value, "M"), NOTHING.arguments[1]))
    with refused("BUILD_IMAGE"):
        render_definition(plan)


def environment_after(plan: Plan, before: dict[str, str]) -> dict[str, str]:
    """Return the environment after the image's script, sourced as Apptainer does."""
    script = parsed(plan)[1].scripts["environment"]
    result = subprocess.run(
        ["sh", "-c", f"{script}\nexec /usr/bin/env -0"], env=before, capture_output=True, text=True, check=True
    )
    pairs = (pair.partition("=") for pair in result.stdout.split("\0") if pair)
    return {name: value for name, _, value in pairs if name not in ("PWD", "OLDPWD", "SHLVL", "_")}


def test_the_environment_is_that_of_env() -> None:
    changes = (
        EnvironmentChange("prepend", "LIST", "x;y z", ";"),
        EnvironmentChange("prepend", "MANPATH", "/a:/b"),
        EnvironmentChange("prepend", "PATH", "/view/bin"),
        EnvironmentChange("set", "TEXT", 'it\'s $HOME "{{ x }}" `id`'),
    )
    plan = replace(NOTHING, environment=changes)
    text = 'it\'s $HOME "{{ x }}" `id`'
    assert environment_after(plan, {}) == {
        "LIST": "x;y z", "MANPATH": "/a:/b", "PATH": f"/view/bin:{DEFAULT_PATH}", "TEXT": text,
    }  # fmt: skip
    before = {"LIST": "w v", "MANPATH": "/c", "PATH": "/bin", "TEXT": "old"}
    assert environment_after(plan, before) == {
        "LIST": "x;y z;w v", "MANPATH": "/a:/b:/c", "PATH": "/view/bin:/bin", "TEXT": text,
    }  # fmt: skip


def test_the_runscript_runs_what_is_asked_for() -> None:
    script = parsed(NOTHING)[1].scripts["runscript"]
    arguments = ["printf", "<%s>", "a b", "", "$HOME", "*"]
    result = subprocess.run(["sh", "-c", script, "run", *arguments], capture_output=True, text=True, check=True)
    assert result.stdout == "<a b><><$HOME><*>"
    shell = subprocess.run(
        ["sh", "-c", script], input="shopt -q login_shell && echo login\n", capture_output=True, text=True, check=True
    )
    assert shell.stdout.endswith("login\n")


def test_what_a_person_wrote_stands_as_it_is() -> None:
    sections = {"runscript": '#!/bin/bash\nexec app "$@"\n', "help": "Say\n  what\n", "test": "", "startscript": "app"}
    scripts = parsed(replace(NOTHING, sections=sections))[1].scripts
    assert scripts["runscript"].strip() == '#!/bin/bash\nexec app "$@"'
    assert scripts["help"].strip() == "Say\n  what"
    assert scripts["startscript"].strip() == "app"
    assert "test" not in scripts


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("echo\n  %post\nid", "%post"),
        ("Bootstrap: docker", "Bootstrap"),
        ("echo {{ X }}", "{{ X }}"),
        ("echo {{\nX\n}}", "replace"),
        ("a\x00b", "control"),
        ("x" * 70_000, "70,001"),
    ],
)
def test_what_a_person_cannot_write_is_refused(text: str, says: str, refused: Refused) -> None:
    with refused(says):
        render_definition(replace(NOTHING, sections={"runscript": text}))


def test_a_section_that_is_none_is_refused(refused: Refused) -> None:
    with refused("container.singularity.setup", "runscript"):
        render_definition(replace(NOTHING, sections={"setup": "rm -rf /"}))


@given(st.dictionaries(st.text(min_size=1, max_size=12), st.text(max_size=40), max_size=3))
def test_a_label_is_read_back_or_refused(labels: dict[str, str]) -> None:
    try:
        build, final = parsed(replace(NOTHING, labels=labels))
    except InputError:
        return
    assert final.labels == labels
    assert build.labels == {}


PRINTABLE = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60)


@given(PRINTABLE.filter(lambda text: "{{" not in text))
def test_every_printable_value_can_be_a_label(value: str) -> None:
    labels = {"org.example.key": value, "org.example.other": f"{value} {value}".strip()}
    assert parsed(replace(NOTHING, labels=labels))[1].labels == labels


@pytest.mark.parametrize("key", ["", "a b", "#a", "%a", "a\tb", "{{ x }}", "a\n"])
def test_a_key_that_cannot_be_written_is_refused(key: str, refused: Refused) -> None:
    with refused("name of a label"):
        render_definition(replace(NOTHING, labels={key: "v"}))


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\x00", " a", "a ", "{{ x }}", "x{{", "y" * 70_000])
def test_a_value_that_cannot_be_written_is_refused(value: str, refused: Refused) -> None:
    with refused("definition file"):
        render_definition(replace(NOTHING, labels={"k": value}))


def test_many_labels_are_more_than_one_section() -> None:
    labels = {f"org.example.{place:04}": "v" * 1000 for place in range(200)}
    assert parsed(replace(NOTHING, labels=labels))[1].labels == labels


def test_the_base_images_labels_are_gone_before_ours_are_written() -> None:
    final = parsed(NOTHING)[1]
    assert "rm -f /.singularity.d/labels.json" in final.scripts["post"]
    assert "labels.json" not in parsed(NOTHING)[0].scripts["post"]


def test_spack_yaml_can_ask_for_the_format(tmp_path: Path) -> None:
    folder = environment_folder("v1.1.0/zlib-generic")
    shutil.copy(folder / "spack.lock", tmp_path)
    manifest = {
        "spack": {"specs": ["zlib"], "container": {"format": "singularity", "singularity": {"runscript": "app"}}}
    }
    (tmp_path / "spack.yaml").write_text(json.dumps(manifest))
    build, final = parse_definition(recipe_from_source(read_source(tmp_path), RecipeOptions()).text)
    assert build.header["stage"] == "build"
    assert final.scripts["runscript"].strip() == "app"
