"""The reader of instructions beside BuildKit's own parser."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import dockerfile
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hpc3.consume.dockerfile import subject_from_dockerfile
from hpc3.consume.dockerfile_lines import instructions
from hpc3.errors import InputError

NO_HEREDOC = [
    "RUN wc -c <<<hello",
    'RUN bash -c "wc -c <<<hello"',
    "RUN echo $((1<<width))",
    "RUN echo 'use cat <<EOF to write' > /README",
    'RUN echo "<<EOF"',
    'RUN ["cat", "<<EOF"]',
    "RUN echo a<<EOF",
    "RUN cat <<A<<B",
    "RUN cat \\<<EOF",
    "RUN cat <<''",
    "RUN cat <<-",
    "RUN echo ${x^^} <<EOF",
    "RUN echo 'open <<EOF",
    'RUN echo "${x} <<EOF',
    "CMD cat <<EOF",
    "ONBUILD CMD cat <<EOF",
]
HEREDOCS = [
    ("RUN cat <<EOF > /a", "  EOF\nUSER body\nEOF"),
    ("RUN cat <<EOF > /a", "\tEOF\nEOF \nEOF"),
    ("RUN cat <<-EOF", " EOF\n# EOF\n\t\tEOF"),
    ("RUN 3<<X-Y cat", "USER body\nX-Y"),
    ("RUN <<'A B'", "A\nB\nA B"),
    ("RUN <<\"E\"'O'F", "USER body\nEOF"),
    ("RUN <<E\\OF", "USER body\nEOF"),
    ("RUN <<$EOF", "EOF\n$EOF"),
    ("RUN <<${E}", "E\n${E}"),
    ("COPY <<-A <<'B' /x/", "B\n\tA\nUSER body\nB"),
    ("ADD <<a.txt /x/", "USER body\na.txt"),
    ("ONBUILD RUN <<EOF", "USER body\nEOF"),
    ("run --mount=type=cache,target=/x <<EOF", "USER body\nEOF"),
    ("RUN\t<<EOF", "USER body\nEOF"),
    ("RUN true \\\n  <<EOF", "USER body\nEOF"),
    ("RUN true # cat <<EOF", "USER body\nEOF"),
    ("RUN <<EOF", "a \\\nEOF"),
]
LINES = [
    'FROM x\nUSER\tapp\nCMD \t ["a"]\n',
    "FROM x\nENV A=1\\\n    B=2\n",
    "FROM x\nENV A=1\\\nB=2\n",
    "FROM x\nENV A=1 \\ \t\n  B=2 \\\n # c\n\n C=3\n",
    "FROM x\nUSER a\\\\\nUSER b\n",
    "FROM x\nUSER a\\",
    "FROM x\nUSER a \\\n# c\n\n",
    "FROM x\r\nUSER a \\\r\n b\r\n",
    "# escape=`\nFROM x\nUSER a`\nb\n",
    "# syntax=a\n#escape = `\nFROM x\nUSER a`\nb\n",
    "# c\n# escape=`\nFROM x\nUSER a`\nUSER b\\\nc\n",
    "\n# escape=`\nFROM x\nUSER a`\nUSER b\\\nc\n",
    "# other=1\n# escape=`\nFROM x\nUSER a`\nUSER b\n",
    "FROM x\n# escape=`\nUSER a`\nUSER b\n",
    "\ufeff# escape=`\nFROM x\nUSER a`\nb\n",
    "\ufeffFROM x\n",
    "FROM x\n# c\x0bUSER a\x0cUSER b\x85USER c\u2028USER d\x1cUSER e\n",
    "FROM x\n\x0c USER a\n\xa0USER b\n",
    "FROM x\nENTRYPOINT\nCMD\n",
]


def ours(text: str) -> list[tuple[str, int, str]]:
    return [(i.keyword, i.line, i.rest) for i in instructions(text) if i.keyword != "ONBUILD"]


def theirs(text: str) -> list[Any]:
    return [i for i in dockerfile.parse_string(text) if i.cmd.upper() != "ONBUILD"]


def check(text: str) -> None:
    read = theirs(text)
    assert [(keyword, line) for keyword, line, _ in ours(text)] == [(i.cmd.upper(), i.start_line) for i in read]
    for (keyword, _, rest), instruction in zip(ours(text), read):
        if keyword in ("USER", "WORKDIR"):  # of the others, their value is not the text
            assert (rest,) == instruction.value


@pytest.mark.parametrize("line", NO_HEREDOC)
def test_what_is_no_heredoc(line: str) -> None:
    text = f'FROM x\n{line}\nENTRYPOINT ["/evil"]\nEOF\n'
    check(text)
    assert "ENTRYPOINT" in [keyword for keyword, _, _ in ours(text)]


@pytest.mark.parametrize(("line", "body"), HEREDOCS)
def test_heredocs(line: str, body: str) -> None:
    text = f"FROM x\n{line}\n{body}\nUSER after\n"
    check(text)
    assert [rest for keyword, _, rest in ours(text) if keyword == "USER"] == ["after"]
    with pytest.raises(InputError, match="does not end") as caught:
        list(instructions(f"FROM x\n{line}\n", "f"))
    assert caught.value.where == "f:2"
    with pytest.raises(ValueError, match="unterminated"):
        dockerfile.parse_string(f"FROM x\n{line}\n")


def test_a_space_before_the_delimiter() -> None:
    # Newer BuildKits take it for a heredoc, older ones do not: to them the line "EOF" is an unknown instruction.
    assert ours("RUN cat << EOF\nUSER body\nEOF\nUSER after\n")[1:] == [("USER", 4, "after")]
    assert ours("RUN echo $((1 << n))\nUSER after\n")[1:] == [("USER", 2, "after")]


def test_a_directive_newer_than_the_parser() -> None:
    assert ours("# check=skip=all\n# escape=`\nUSER a`\nb\n") == [("USER", 3, "ab")]


@pytest.mark.parametrize("text", LINES)
def test_lines(text: str) -> None:
    check(text)


SNIPPETS = st.sampled_from(
    [
        "FROM x",
        "USER a",
        "\nUSER b",
        "\nRUN a ",
        "\nCOPY ",
        "\nENV A=1 ",
        "\\\n",
        "`\n",
        "\n",
        "\n",
        " ",
        "\t",
        "#",
        "\r",
        *[
            "<<E",
            " <<-E",
            "\nE\n",
            "\n\tE\n",
            "'",
            '"',
            "\\",
            "`",
            "$",
            "${a}",
            "<",
            "1",
            "\ufeff",
            "\x0b",
            "# escape=`\n",
        ],
    ]
)


@given(st.lists(SNIPPETS, max_size=14).map("".join))
@example("USER a\\\n \\\n b")
def test_any_text_is_read_as_buildkit_does(text: str) -> None:
    text = f"{text}\nUSER last\n"
    try:
        theirs(text)
    except ValueError as error:
        if "unterminated heredoc" in str(error):
            with pytest.raises(InputError):
                list(instructions(text))
        return
    check(text)


@pytest.mark.parametrize(
    "text",
    [
        "FROM x\n" + "RUN cat << E\n" * 200_000,
        "FROM x\n" + "RUN cat <<E\n" * 200_000,
        "FROM x\nUSER " + "${a:-" * 100_000,
        "FROM x\nRUN << " + "${a:-" * 100_000,
        "FROM x\nCMD " + "[" * 100_000,
        "FROM x\nENV A=" + "'\"" * 100_000,
        "FROM x\nENV A=aa\n" + "ENV A=$A$A\n" * 100,
        "FROM x\n" + "".join(f"ENV A{n}={n}\n" for n in range(50_000)),
        "FROM x AS a\nENV " + "".join(f"A{n}={n} " for n in range(50_000)) + "\nFROM a AS a" * 50_000,
        "FROM x\n" + "WORKDIR a\n" * 100_000,
        "FROM x\n" + "ONBUILD USER a\nVOLUME a\n" * 50_000,
        "FROM x\n" + "USER a\\\n" * 300_000,
    ],
)
def test_hostile_texts_are_bounded(text: str) -> None:
    start = time.monotonic()
    with contextlib.suppress(InputError):
        subject_from_dockerfile(text, "f")
    assert time.monotonic() - start < 20
