from __future__ import annotations

import re
from pathlib import Path

import dockerfile
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpc3.cli import main
from hpc3.consume.dockerfile import subject_from_dockerfile
from hpc3.consume.dockerfile_lines import instructions
from hpc3.consume.dockerfile_words import Words
from hpc3.consume.validate import validate_subject
from hpc3.errors import InputError
from unit.recipe.buildkit import lexed

TEXT = r"""# syntax=docker/dockerfile:1
ARG VERSION=12.4.1
FROM nvidia/cuda:${VERSION}-devel AS Build
ENV A=1
RUN <<EOF
FROM nothing
ENTRYPOINT ["wrong"]
EOF
ENTRYPOINT ["/build"]

FROM build AS middle
USER me

from debian:12
ARG VERSION
ARG NAME="a b"
ENV PATH=/opt/bin:$PATH \
    # a comment inside
    CUDA_VERSION="${VERSION}"
ENV OLD the rest of it
LABEL one=1 "two"="$NAME" three='$NAME' \
      four=${MISSING:-default}
COPY <<-"ONE" <<TWO /x/
VOLUME /nowhere
	ONE
VOLUME /nowhere
TWO
VOLUME ["/data"]
CMD ["/bin/bash", "-l"]
ENTRYPOINT []
WORKDIR /work
HEALTHCHECK NONE
ONBUILD RUN true
"""


def test_the_last_stage_is_what_counts() -> None:
    subject = subject_from_dockerfile(TEXT, "Dockerfile")
    assert subject.base == "debian:12"
    assert subject.labels == {"one": "1", "two": "a b", "three": "$NAME", "four": "default"}
    assert subject.environment() == {"PATH": "/opt/bin:", "CUDA_VERSION": "12.4.1", "OLD": "the rest of it"}
    assert subject.config is not None
    assert "User" not in subject.config
    assert subject.config["Entrypoint"] == []
    assert subject.config["Cmd"] == ["/bin/bash", "-l"]
    assert subject.config["Volumes"] == {"/data": {}}
    assert subject.config["Healthcheck"] == {"Test": ["NONE"]}
    assert subject.config["OnBuild"] == ["RUN true"]
    line = TEXT.splitlines().index("WORKDIR /work") + 1
    assert subject.place("WorkingDir") == f"Dockerfile:{line}"


def test_a_stage_inherits_from_a_stage() -> None:
    text = 'FROM scratch AS one\nENTRYPOINT ["/x"]\nUSER me\nENV A=1\nFROM one\nUSER root\n'
    subject = subject_from_dockerfile(text, "f")
    assert subject.config == {"Entrypoint": ["/x"], "Cmd": [], "User": "root", "Env": ["A=1"]}
    assert subject.base == ""


def test_shell_form() -> None:
    subject = subject_from_dockerfile("FROM x\nCMD gmx mdrun\n", "f")
    assert subject.config == {"Cmd": ["/bin/sh", "-c", "gmx mdrun"]}


def test_an_inherited_entrypoint_is_told() -> None:
    found = {f.code for f in validate_subject(subject_from_dockerfile("FROM x\n", "f"))}
    assert "HPC113" in found
    cleared = subject_from_dockerfile('FROM x\nENTRYPOINT []\nCMD ["/bin/bash","-l"]\n', "f")
    assert "HPC113" not in {f.code for f in validate_subject(cleared)}


def test_another_escape_character() -> None:
    text = "# escape=`\nFROM x\nLABEL a=1 `\n  b=2\n"
    assert subject_from_dockerfile(text, "f").labels == {"a": "1", "b": "2"}


def test_no_stage() -> None:
    with pytest.raises(InputError):
        subject_from_dockerfile("LABEL a=b\n", "f")


@given(st.text(alphabet=st.sampled_from("FROM x\nLABEL ENV a=b$\"'\\{}<<EOF:-[]"), max_size=120))
def test_any_text_is_read_or_refused(text: str) -> None:
    list(instructions(text))
    try:
        subject_from_dockerfile(text, "f")
    except InputError as error:
        assert re.search("no FROM|no base|does not end", str(error))  # noqa: PT017 - what errors there are


BASH = '\nENTRYPOINT []\nCMD ["/bin/bash", "-l"]\n'


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ('FROM x AS base\nCMD ["a"]\nFROM base\nENTRYPOINT []\n', []),
        ('FROM x AS base\nCMD ["a"]\nFROM base\nCMD ["b"]\nENTRYPOINT []\n', ["b"]),
        ('FROM x AS base\nCMD ["a"]\nFROM base\nENTRYPOINT []\nCMD ["b"]\n', ["b"]),
        ('FROM x AS base\nENTRYPOINT []\nCMD ["a"]\nFROM base\n', ["a"]),
        ('FROM x\nCMD ["a"]\nENTRYPOINT []\n', ["a"]),
    ],
)
def test_an_entrypoint_resets_the_command_of_an_earlier_stage(text: str, command: list[str]) -> None:
    config = subject_from_dockerfile(text, "f").config
    assert config is not None
    assert config["Cmd"] == command


def test_a_stage_does_not_change_the_one_it_is_built_on() -> None:
    text = "FROM x AS a\nVOLUME /a\nONBUILD RUN a\nFROM a AS b\nVOLUME /b\nONBUILD RUN b\nFROM a\n"
    assert subject_from_dockerfile(text, "f").config == {"Volumes": {"/a": {}}, "OnBuild": ["RUN a"]}


@pytest.mark.parametrize("keyword", ["ENTRYPOINT", "CMD"])
def test_bare_commands_are_a_shell_with_nothing_to_do(keyword: str) -> None:
    # So BuildKit and Docker have it; buildah clears the entry. Only "[]" means the same to all.
    config = subject_from_dockerfile(f"FROM x\n{keyword}\n", "f").config
    assert config is not None
    assert config[keyword.capitalize()] == ["/bin/sh", "-c", ""]


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("FROM scratch\n", ""),
        ("ARG B=scratch\nFROM $B\n", ""),
        ("ARG BASE\nFROM ${BASE}\n", "${BASE}"),
        ("ARG BASE=\nFROM ${BASE}\n", "${BASE}"),
        ("FROM $BASE AS x\n", "$BASE"),
        ("ARG V\nFROM debian:$V\n", "debian:$V"),
        ("ARG V\nFROM debian:${V:-12}\n", "debian:12"),
        ('ARG V="12"\nFROM --platform=$BUILDPLATFORM "debian:$V"\n', "debian:12"),
        ("FROM\tdebian:12\tAS\tx\n", "debian:12"),
    ],
)
def test_bases(text: str, base: str) -> None:
    assert subject_from_dockerfile(text, "f").base == base


def test_a_base_may_set_the_path() -> None:
    def codes(base: str) -> set[str]:
        return {f.code for f in validate_subject(subject_from_dockerfile(f"FROM {base}\nENV A=1{BASH}", "f"))}

    assert "HPC111" not in codes("x")
    assert "HPC111" in codes("scratch")


@pytest.mark.parametrize(
    ("lines", "user"),
    [('USER "root"', "root"), ("USER 'a b'", "a b"), ("USER\tapp", "app"), ('USER "open', '"open'), ("USER $U", "")],
)
def test_users(lines: str, user: str) -> None:
    assert subject_from_dockerfile(f"FROM x\n{lines}\n", "f").config == {"User": user}


@pytest.mark.parametrize(
    ("lines", "place"),
    [
        ('WORKDIR "/"', "/"),
        ("WORKDIR /opt\nWORKDIR ..", "/"),
        ("WORKDIR /opt\nWORKDIR app\nWORKDIR ../x/./", "/opt/x"),
        ("WORKDIR /opt\nWORKDIR /a", "/a"),
        ("WORKDIR rel", "/rel"),
        ("WORKDIR //", "/"),
        ("WORKDIR //opt//x", "/opt/x"),
        ("WORKDIR ../..", "/"),
        ("ENV D=/d\nWORKDIR ${D}", "/d"),
    ],
)
def test_working_directories(lines: str, place: str) -> None:
    subject = subject_from_dockerfile(f"FROM x\n{lines}\n", "f")
    assert subject.config is not None
    assert subject.config["WorkingDir"] == place
    assert ("HPC107" in {f.code for f in validate_subject(subject)}) == (place != "/")


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("LABEL name\tvalue  $A", {"name": "value  1"}),
        ('LABEL n  hello   "world" $A', {"n": "hello   world 1"}),
        (r'LABEL a=\$A b="\$A" c=\\$A d="x\y" e=a\ b', {"a": "$A", "b": "$A", "c": "\\1", "d": "x\\y", "e": "a b"}),
        (
            "LABEL a='$A' b=\"'$A'\" c=${A}b d=${A:+z} e=${N-\"d\"}",
            {"a": "$A", "b": "'1'", "c": "1b", "d": "z", "e": "d"},
        ),
        ('LABEL "q $A"=v "r s"=w t=', {"q 1": "v", "r s": "w", "t": ""}),
        ("LABEL a=1\\\n    b=2", {"a": "1", "b": "2"}),
        ("LABEL a=1\\\nb=2", {"a": "1b=2"}),
        ("LABEL a=${A%.*}", {"a": "${A%.*}"}),
        ("LABEL a=$$ b=a$ c=${N:-${A}}", {"a": "", "b": "a$", "c": "1"}),
    ],
)
def test_words(text: str, labels: dict[str, str]) -> None:
    assert subject_from_dockerfile(f"FROM x\nENV A=1\n{text}\n", "f").labels == labels


def test_one_instruction_sees_the_environment_before_it() -> None:
    subject = subject_from_dockerfile("FROM x\nENV A=1\nENV A=2 B=$A\nENV\tC\t$B\nARG D=$A\nENV D=$D\n", "f")
    assert subject.environment() == {"A": "2", "B": "1", "C": "1", "D": "2"}


WORD = st.text(alphabet=st.sampled_from("ab=$A{}:-+'\"\\ \t#"), max_size=20)


@given(WORD)
def test_words_are_those_of_buildkit(text: str) -> None:
    line = f"ENV A=1 {text} B=2"
    try:
        (read,) = dockerfile.parse_string(line)
    except ValueError:
        return
    words = [word.partition("=") for word in Words("\\", "f").split(line[len("ENV ") :])]
    assert [part for name, _, value in words for part in (name, value)] == list(read.value)
    for _, _, value in words:
        try:
            expected = lexed(value, {"A": "x y"})
        except AssertionError:  # nothing that it reads
            continue
        assert Words("\\", "f").value(value, {"A": "x y"}) == expected


def test_a_byte_order_mark(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "recipe"
    path.write_text(f"\ufeffFROM x{BASH}", encoding="utf-8")
    main(["validate", str(path)])
    assert "HPC202" in capsys.readouterr().out  # judged, and no JSON that cannot be read


def test_a_from_without_a_base() -> None:
    with pytest.raises(InputError, match="names no base"):
        subject_from_dockerfile("FROM\n", "f")


def test_variables_do_not_grow_without_end() -> None:
    with pytest.raises(InputError, match="repeats"):
        subject_from_dockerfile("FROM x\nENV A=aa\n" + "ENV A=$A$A\n" * 60, "f")
