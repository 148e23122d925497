"""What Spack's own users see: nothing changes but one option, one command, and the help of both."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import peers
import spack_peer
from spack_peer import Spack

pytestmark = pytest.mark.spack

#: An environment that Spack's own containerize accepts.
CONTAINER = "spack:\n  specs: [zlib]\n  container:\n    images: {os: 'ubuntu:22.04', spack: 0.23.1}\n"


@pytest.fixture(scope="session")
def plain_spack(spack: Spack) -> Spack:
    """Return the same Spack on a Python that does not know hpc3."""
    return Spack(spack.version, spack.folder, spack_peer.bare_python(), spack.home)


@pytest.fixture
def container(tmp_path: Path) -> Path:
    (tmp_path / "spack.yaml").write_text(CONTAINER, "utf-8")
    return tmp_path


@pytest.mark.parametrize("arguments", [(), ("--last-stage", "build"), ("--list-os",), ("--no-such",)], ids=str)
def test_without_the_option_it_is_spacks_own(
    spack: Spack, plain_spack: Spack, container: Path, arguments: tuple[str, ...]
) -> None:
    ours = spack.run("containerize", *arguments, cwd=container)
    own = plain_spack.run("containerize", *arguments, cwd=container)
    assert (ours.returncode, ours.stdout) == (own.returncode, own.stdout)
    if arguments != ("--no-such",):  # the usage line that comes with it names our options
        assert ours.stderr == own.stderr
        assert ours.returncode == 0


def test_its_faults_are_spacks_own_too(spack: Spack, plain_spack: Spack, tmp_path: Path) -> None:
    ours, own = (one.run("containerize", cwd=tmp_path) for one in (spack, plain_spack))
    assert (ours.returncode, ours.stdout, ours.stderr) == (own.returncode, own.stdout, own.stderr)
    assert ours.returncode != 0


def test_help_shows_the_option(spack: Spack) -> None:
    result = spack.run("containerize", "-h")
    assert result.returncode == 0
    for option in ("--list-os", "--annotate", "--check", "--concretize-in-build", "--root", "--external"):
        assert option in result.stdout


@pytest.mark.parametrize(
    "option", [("--format", "docker"), ("-o", "x"), ("--root", "zlib"), ("--concretize",)], ids=str
)
def test_our_options_need_annotate(spack: Spack, container: Path, option: tuple[str, ...]) -> None:
    result = spack.run("containerize", *option, cwd=container)
    assert result.returncode == 2
    assert "only with --annotate" in result.stderr
    assert result.stdout == ""


def test_spacks_options_do_not_go_with_annotate(spack: Spack, container: Path) -> None:
    result = spack.run("containerize", "--annotate", "--last-stage", "build", cwd=container)
    assert result.returncode == 2
    assert "==> Error: --list-os and --last-stage" in result.stderr


def test_commands_are_listed_once(spack: Spack) -> None:
    names = spack.run("commands").stdout.split()
    assert names.count("containerize") == 1
    assert names.count("hpc3") == 1


def test_completion_that_spack_writes_has_the_option(spack: Spack) -> None:
    text = spack.run("commands", "--format=bash").stdout
    own = text[text.index("_spack_containerize()") :]
    assert "--annotate" in own[: own.index("}")]
    assert "_spack_hpc3_facts()" in text


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("spack containerize --ann", ["--annotate"]),
        ("spack hpc3 ", ["annotations", "containerize", "doctor", "facts", "sbom"]),
        ("spack hpc3 facts --ro", ["--root"]),
        ("spack hpc", ["hpc3"]),
        ("spack containerize --con", ["--concretize", "--concretize-in-build"]),
    ],
)
def test_completion_snippet(spack: Spack, words: str, expected: list[str]) -> None:
    snippet = peers.REPOSITORY / "spack_ext" / "hpc3_spack" / "completion.bash"
    script = f"""
        . {spack.folder}/share/spack/spack-completion.bash
        . {snippet}
        . {snippet}
        COMP_LINE={words!r}; COMP_POINT=${{#COMP_LINE}}
        read -r -a COMP_WORDS <<< "$COMP_LINE"
        [[ "$COMP_LINE" != *' ' ]] || COMP_WORDS+=('')
        COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        _bash_completion_spack
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    result = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, env=spack.environ())
    assert sorted(result.stdout.split()) == expected


def test_snippet_knows_every_option(spack: Spack) -> None:
    """The snippet is written by hand: it must offer what Spack would write for these commands."""
    written = _completions(spack.run("commands", "--format=bash").stdout)
    snippet = _completions((peers.REPOSITORY / "spack_ext" / "hpc3_spack" / "completion.bash").read_text("utf-8"))
    names = [name for name in written if name == "_spack_containerize" or name.startswith("_spack_hpc3")]
    assert len(names) == 7
    for name in names:
        assert set(snippet[name].split()) == set(written[name].split()), name


def _completions(text: str) -> dict[str, str]:
    """Return the words that each completion function offers, by its name."""
    found: dict[str, str] = {}
    for block in text.split("\n}\n"):
        name, _, body = block.rpartition("() {")
        quoted = [line.split('"')[1] for line in body.splitlines() if "SPACK_COMPREPLY=" in line and '"' in line]
        found[name.strip().rpartition("\n")[2]] = " ".join(quoted)
    return found


def test_hook_never_raises(spack: Spack) -> None:
    """Called as Spack calls it, with each thing broken that it touches."""
    answers = spack.ask("""
import json, hpc3_spack, spack.cmd, spack.config
answers = [hpc3_spack.get_extension_path(), hpc3_spack.get_extension_path()]
before = list(spack.cmd.__path__)
get, path = spack.config.get, spack.cmd.__path__
spack.config.get = None
answers.append(hpc3_spack.get_extension_path())
spack.config.get = lambda name: ["/x/spack-hpc3", 7]
answers.append(hpc3_spack.get_extension_path())
spack.config.get = get
spack.cmd.__path__ = 5
answers.append(hpc3_spack.get_extension_path())
print(json.dumps([answers, before.count(str(hpc3_spack.OVERRIDE_PATH))]))
""")
    assert isinstance(answers, list)
    (first, second, *broken), count = answers
    assert first == second
    assert len(first) <= 1
    assert broken == [[], [], []]
    assert count == 1


def test_a_fault_of_the_hook_is_told_to_those_who_debug(spack: Spack) -> None:
    script = "import hpc3_spack, spack.config; spack.config.get = None; print(hpc3_spack.get_extension_path())"
    result = spack.run("--debug", "python", "-c", script)
    assert "hpc3: the extension is not active: TypeError" in result.stderr
    assert result.stdout.splitlines()[-1] == "[]"


def test_the_override_says_of_itself_what_spack_says(spack: Spack) -> None:
    script = """
import json, spack.cmd, spack.extensions
spack.extensions.get_extension_paths()
module = spack.cmd.get_module("containerize")
assert "hpc3_spack" in module.__file__
print(json.dumps([module.description, module.section, module.level]))
"""
    description, section, level = spack.ask(script)  # type: ignore[misc]
    own = (spack.folder / "lib" / "spack" / "spack" / "cmd" / "containerize.py").read_text("utf-8")
    for name, value in {"description": description, "section": section, "level": level}.items():
        assert f'{name} = "{value}"' in own


def test_other_commands_do_not_load_hpc3(spack: Spack) -> None:
    loaded = spack.ask("""
import json, sys, spack.main
import spack.cmd; spack.cmd.all_commands()
print(json.dumps([name for name in sys.modules if name.partition(".")[0] in ("hpc3", "hpc3_spack", "yaml")]))
""")
    assert loaded == ["hpc3_spack"]
