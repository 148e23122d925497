"""The Dockerfile's own grammar: any value comes back from BuildKit's parser as it went in."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpc3.recipe.dockerfile import label_instruction, render_dockerfile
from hpc3.recipe.plan import Argument, Copy, Mount, Plan, Run, Shell, Stage, Step, Write
from hpc3.request import EnvironmentChange
from unit.conftest import Refused
from unit.recipe.buildkit import environment, instructions, labels, lexed

#: Whatever stands in one line; half of it what a lexer trips over.
LINE = st.text(
    st.sampled_from("\\\"'$`{}:#<>-+=&|;*?[]%! \t") | st.characters(codec="utf-8", exclude_characters="\n\r\x00"),
    max_size=40,
)
KEY = st.from_regex(r"[a-z][a-z0-9._/-]{0,20}", fullmatch=True)


def plan(
    *steps: Step,
    labels: dict[str, str] | None = None,
    env: Sequence[EnvironmentChange] = (),
    context: Sequence[Step] = (),
) -> Plan:
    return Plan(
        header=("A recipe.", ""),
        arguments=(
            Argument("IMAGE", "debian:12", "Image"),
            Argument("SITE", 'a "b" $c', "Site"),
            Argument("X", "", "X"),
        ),
        stages=(Stage("build", "IMAGE", tuple(context)), Stage("final", "IMAGE", steps)),
        environment=tuple(env),
        labels=labels or {},
    )


@given(st.dictionaries(KEY, LINE, min_size=1, max_size=5))
def test_labels_come_back(values: dict[str, str]) -> None:
    assert labels("FROM scratch\n" + label_instruction(values)) == values


@given(st.dictionaries(LINE.filter(lambda key: key.strip() and "=" not in key), LINE, min_size=1, max_size=3))
def test_label_keys_come_back_too(values: dict[str, str]) -> None:
    assert labels("FROM scratch\n" + label_instruction(values)) == values


@pytest.mark.parametrize(
    "value",
    [
        '{"a":"b $HOME"}', "$", "$$", "${X}", "\\", "\\\\", '\\"', '"', "'", "`id`", "a # b", "# a", " a ", "", "a=b",
        "<<EOF", "a\\", "\\n", "%s", "漢字🐍", "\t", "\x1b[2J", "\u2028", "a" * 60_000,
    ],
    ids=lambda value: ascii(value[:12]),
)  # fmt: skip
def test_labels_that_hurt_elsewhere(value: str) -> None:
    assert labels("FROM scratch\n" + label_instruction({"key": value, "other": "x"})) == {"key": value, "other": "x"}


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\x00b", "x" * 70_000], ids=lambda value: ascii(value[:5]))
def test_labels_that_no_line_can_hold(value: str, refused: Refused) -> None:
    with refused("labels", "cannot be written in a Dockerfile"):
        label_instruction({"key": value})
    with refused("labels", "cannot be written in a Dockerfile"):
        label_instruction({value: "key"})


def test_label_key_with_an_equals_sign(refused: Refused) -> None:
    with refused("labels", "a=b"):
        label_instruction({"a=b": "c"})


def test_no_labels_are_no_instruction() -> None:
    assert label_instruction({}) == ""


def test_labels_are_sorted() -> None:
    assert list(labels("FROM scratch\n" + label_instruction({"b": "1", "a": "2"}))) == ["a", "b"]


@given(LINE)
def test_arguments_come_back(value: str) -> None:
    text = render_dockerfile(
        Plan(("x",), (Argument("IMAGE", value or "x", "x"),), (Stage("final", "IMAGE", ()),), (), {})
    )
    argument = next(i for i in instructions(text) if i.cmd.upper() == "ARG")
    assert lexed(argument.value[0]) == f"IMAGE={value or 'x'}"


ENTRY = st.text(st.sampled_from("/\\\"'$` {}") | st.characters(min_codepoint=33, max_codepoint=126), max_size=20)


@given(ENTRY)
def test_set_variable_comes_back(value: str) -> None:
    text = render_dockerfile(plan(env=[EnvironmentChange("set", "A", value)]))
    assert environment(text, {"A": "before"})["A"] == value


@given(ENTRY, st.sampled_from(["", "/before"]), st.sampled_from(":;, "))
def test_prepended_variable_comes_back(value: str, before: str, separator: str) -> None:
    text = render_dockerfile(plan(env=[EnvironmentChange("prepend", "A", value, separator)]))
    assert environment(text, {"A": before})["A"] == (f"{value}{separator}{before}" if before else value)


@pytest.mark.parametrize(
    ("before", "after"),
    [("/bin", "/opt/x:/bin"), ("", "/opt/x:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")],
)
def test_path_is_never_left_without_the_system(before: str, after: str) -> None:
    text = render_dockerfile(plan(env=[EnvironmentChange("prepend", "PATH", "/opt/x")]))
    assert environment(text, {"PATH": before} if before else {})["PATH"] == after


def test_all_variables_stand_in_one_instruction() -> None:
    env = [EnvironmentChange("set", "A", "1"), EnvironmentChange("prepend", "PATH", "/x")]
    assert [i.cmd for i in instructions(render_dockerfile(plan(env=env)))].count("ENV") == 1


def test_tail_is_the_contract() -> None:
    tail = instructions(render_dockerfile(plan(labels={"a": "b"})))[-4:]
    assert [(i.cmd.upper(), i.value, i.json) for i in tail] == [
        ("WORKDIR", ("/",), False),
        ("ENTRYPOINT", (), True),
        ("CMD", ("/bin/bash", "-l"), True),
        ("LABEL", ('"a"', '"b"'), False),
    ]


def test_no_instruction_that_the_contract_forbids() -> None:
    text = render_dockerfile(plan(Run("x", (Shell("true"),)), labels={"a": "b"}))
    assert not {i.cmd.upper() for i in instructions(text)} & {
        "USER",
        "VOLUME",
        "HEALTHCHECK",
        "ONBUILD",
        "SHELL",
        "EXPOSE",
    }


def test_stages_and_arguments() -> None:
    step = Run("Uses the site", (Shell('test -n "${SITE}"'),), arguments=("SITE",))
    found = [(i.cmd.upper(), i.value) for i in instructions(render_dockerfile(plan(step)))]
    assert found[:4] == [
        ("ARG", ('IMAGE="debian:12"',)),
        ("FROM", ("${IMAGE}", "AS", "build")),
        ("FROM", ("${IMAGE}",)),
        ("ARG", ('SITE="a \\"b\\" \\$c"',)),
    ]


def test_mounts() -> None:
    step = Run("x", (Shell("true"),), mounts=(Mount("cache", "c", "/c"), Mount("secret", "S", "/run/secrets/S")))
    (run,) = (i for i in instructions(render_dockerfile(plan(step))) if i.cmd.upper() == "RUN")
    assert run.flags == ("--mount=type=cache,id=c,target=/c", "--mount=type=secret,id=S,target=/run/secrets/S")
    assert run.value == ("true",)


NAME = st.text(
    st.sampled_from("\"'$]{} ~#<>,-") | st.characters(codec="utf-8", exclude_characters="\n\r\x00/*?[\\"),
    min_size=1,
    max_size=20,
)


@given(NAME, NAME)
def test_copied_names_come_back(source: str, folder: str) -> None:
    step = Copy("x", (source,), f"/{folder}/")
    (copy,) = (i for i in instructions(render_dockerfile(plan(step))) if i.cmd.upper() == "COPY")
    assert copy.json
    assert copy.heredocs == ()
    assert [lexed(word) for word in copy.value] == [source, f"/{folder}/"]


@pytest.mark.parametrize("name", ["a*b", "a?b", "a[b]", "a\\b"])
def test_names_that_builders_take_for_patterns(name: str, refused: Refused) -> None:
    with refused(repr(name), "pattern", "another name"):
        render_dockerfile(plan(Copy("x", (name,), "/x/")))


def test_copy_from_a_stage() -> None:
    step = Copy("x", ("/opt/software",), "/opt/software/", "build")
    (copy,) = (i for i in instructions(render_dockerfile(plan(step))) if i.cmd.upper() == "COPY")
    assert copy.flags == ("--from=build",)
    assert copy.value == ("/opt/software", "/opt/software/")


@pytest.mark.parametrize("name", ["a\nb", "a\rb", "a\x00b"], ids=ascii)
def test_names_that_no_line_can_hold(name: str, refused: Refused) -> None:
    with refused("cannot be written in a Dockerfile"):
        render_dockerfile(plan(Copy("x", (name,), "/x/")))


@settings(max_examples=40, deadline=None)  # each starts a shell
@given(st.lists(LINE.map(lambda line: line.replace("\t", " ")), max_size=5))
def test_run_is_one_instruction_whatever_its_words_are(words: list[str]) -> None:
    printable = [word for word in words if all(ord(c) >= 32 and ord(c) != 127 for c in word)]
    step = Run("x", (("printf", "%s\\n", *printable), ("true",)), variables={"v": printable[0] if printable else ""})
    runs = [i for i in instructions(render_dockerfile(plan(step))) if i.cmd.upper() == "RUN"]
    assert len(runs) == 1
    assert runs[0].heredocs == ()
    out = subprocess.run(["/bin/sh", "-c", runs[0].value[0]], capture_output=True, check=True).stdout
    assert out.decode("utf-8") == "\n".join(printable) + "\n"


@settings(max_examples=40, deadline=None)  # each starts a shell
@given(
    st.lists(LINE.filter(lambda line: all(ord(c) >= 32 and ord(c) != 127 for c in line)), min_size=1, max_size=5),
    st.booleans(),
)
def test_written_file_comes_back(tmp_path_factory: pytest.TempPathFactory, lines: list[str], packed: bool) -> None:
    path = tmp_path_factory.mktemp("written") / "it's a folder" / "file"
    content = ("\n".join(lines) + "\n").encode()
    (run,) = (
        i
        for i in instructions(render_dockerfile(plan(Write("x", str(path), content, packed=packed))))
        if i.cmd == "RUN"
    )
    subprocess.run(["/bin/sh", "-c", run.value[0]], check=True)
    assert path.read_bytes() == content
