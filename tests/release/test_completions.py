"""The completions, asked as shells ask them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import peers
from hpc3.cli.main import VERBS

SHARE = peers.REPOSITORY / "share"
BASH = """
source {file}
COMP_WORDS=({words} "{last}") COMP_CWORD={count}
"$(complete -p hpc3 | sed 's/.*-F \\([^ ]*\\).*/\\1/')"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def bash(*words: str) -> set[str]:
    *before, last = words
    script = BASH.format(
        file=SHARE / "bash-completion/completions/hpc3", words=" ".join(before), last=last, count=len(before)
    )
    return said("bash", "--norc", "-c", script)


def fish(line: str) -> set[str]:
    file = SHARE / "fish/vendor_completions.d/hpc3.fish"
    return {text.split("\t")[0] for text in said("fish", "-N", "-c", f"source {file}; complete -C {line!r}")}


def said(*command: str) -> set[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()) - {""}


def test_bash_completes_verbs_options_and_words() -> None:
    peers.need_program("bash")
    assert {word for word in bash("hpc3", "") if not word.startswith("-")} == set(VERBS)
    assert bash("hpc3", "cont") == {"containerize"}
    assert {"--format", "--check"} <= bash("hpc3", "containerize", "--")
    assert {"podman", "sarus"} <= bash("hpc3", "tweak", "--engine", "")
    assert bash("hpc3", "catalog", "pu") == {"push", "pull"}


def test_bash_completes_files(tmp_path: Path) -> None:
    peers.need_program("bash")
    (tmp_path / "spack.lock").touch()
    assert str(tmp_path / "spack.lock") in bash("hpc3", "facts", f"{tmp_path}/spa")


def test_fish_completes_verbs_options_and_words() -> None:
    peers.need_program("fish")
    assert set(VERBS) <= fish("hpc3 ")
    assert "containerize" in fish("hpc3 cont")
    assert "--check" in fish("hpc3 containerize --")
    assert {"podman", "sarus"} <= fish("hpc3 tweak --engine ")


def test_zsh_finds_and_loads_it() -> None:
    peers.need_program("zsh")
    script = f"""
    fpath=({SHARE}/zsh/site-functions $fpath)
    autoload -Uz compinit && compinit -D -u
    print -- $_comps[hpc3]
    autoload -Uz +X _hpc3 && print -- loaded
    """
    assert said("zsh", "-fc", script) == {"_hpc3", "loaded"}
    assert said("zsh", "-fn", str(SHARE / "zsh/site-functions/_hpc3")) == set()


def test_the_interpreter_needs_nothing_more_for_them() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys, hpc3.cli.main; print('shtab' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n"
