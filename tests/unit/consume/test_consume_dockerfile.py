from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpc3.consume.dockerfile import instructions, subject_from_dockerfile
from hpc3.consume.validate import validate_subject
from hpc3.errors import InputError

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
        assert "no FROM" in str(error)  # noqa: PT017 - the only error there is
