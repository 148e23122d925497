"""A recipe runs in a process of its own: with limits, without leftovers, and by HPCCM itself."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hpc3.errors import UsageError
from hpc3.facts import Known
from hpc3.request import HpccmRequest
from hpc3.sources import read_source
from hpc3.sources.hpccm_recipe import ask_hpccm
from hpc3.sources.source import RecipeArguments
from unit.conftest import Refused

pytest.importorskip("hpccm", reason="HPCCM is not installed")

BASE = "Stage0 += baseimage(image='debian:12', _arch='x86_64')\n"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    return tmp_path / "recipe.py"


def test_recipe_is_a_source(recipe: Path) -> None:
    recipe.write_text(f"{BASE}Stage0 += environment(variables={{'A': 'b'}})\n")
    (recipe.parent / "README.md").write_text("# Read me\n")
    source = read_source(recipe)
    assert source.facts.source == "hpccm"
    assert source.facts.documentation == {"readme": "# Read me\n"}
    assert source.files == {"recipe.py": recipe.read_bytes()}
    assert isinstance(source.request, HpccmRequest)
    assert [change.name for change in source.request.environment] == ["A"]
    assert source.request.warnings == ()


def test_recipe_gets_what_hpccm_s_command_line_would_give_it(recipe: Path) -> None:
    recipe.write_text(
        f"{BASE}Stage0 += generic_autotools(url='https://x.org/app-' + USERARG['version'] + '.tar.gz', "
        "toolchain=gnu().toolchain)\n"
    )
    source = read_source(recipe, arguments=RecipeArguments("zen3", {"version": "1.5"}))
    assert isinstance(source.facts.target, Known)
    assert source.facts.target.value.name == "zen3"
    assert [root.version for root in source.facts.roots] == ["1.5"]
    assert isinstance(source.request, HpccmRequest)
    assert source.request.arguments == "--cpu-target zen3 --userarg version=1.5"


def test_warnings_say_what_is_not_followed(recipe: Path) -> None:
    (recipe.parent / "common.py").write_text("Stage0 += baseimage(image='ubuntu:22.04')\n")
    recipe.write_text(
        "hpccm.include('common.py')\nStage0 += environment(variables={'A': '$HOME/x'})\n"
        "Stage0 += user(user='me')\nStage0 += runscript(commands=['run'])\n"
    )
    request = read_source(recipe).request
    assert isinstance(request, HpccmRequest)
    for warning, words in zip(
        request.warnings, ("includes common.py", "_arch", "what containers start", "user me", "A")
    ):
        assert words in warning
    assert len(request.warnings) == 5


def test_arguments_are_for_recipes_alone(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="for recipes of HPCCM"):
        read_source(tmp_path, arguments=RecipeArguments("zen3"))


def test_a_folder_is_never_run(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "recipe.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with refused("spack.lock"):
        read_source(tmp_path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Stage0 += nothing()\n", "HPCCM says: NameError: name 'nothing' is not defined"),
        ("raise SystemExit('enough')\n", "HPCCM says: SystemExit: enough"),
        ("Stage0 +=\n", "HPCCM says: SyntaxError"),
        ("x = 1\n", "adds no baseimage"),
        ("import os\nos._exit(3)\n", "HPCCM cannot be asked: it says nothing"),
        ("import os\nos.kill(os.getpid(), 9)\n", "HPCCM cannot be asked"),
        ("import os\nprint('on stdout')\nos.write(2, b'\\x1b[2J last words')\nos._exit(1)\n", r"\x1b[2J last words"),
        ("open('/dev/stdin').read() and 1\nStage0 += nothing()\n", "NameError"),
        ("Stage0 += '\\ud800'\n" + BASE, "dockerfile: is ill-formed"),
        ("Stage0 += '\\x1b[2J'\n" + BASE, "dockerfile: is ill-formed"),
    ],
)
def test_what_a_recipe_does_wrong_is_one_line(recipe: Path, text: str, said: str, refused: Refused) -> None:
    recipe.write_text(text)
    with refused("recipe.py", said):
        read_source(recipe)


def test_a_recipe_that_takes_too_long_is_stopped_with_all_that_it_started(recipe: Path, refused: Refused) -> None:
    child = recipe.with_name("child")
    recipe.write_text(
        "import subprocess, time\n"
        f"process = subprocess.Popen(['sleep', '600'])\nopen({str(child)!r}, 'w').write(str(process.pid))\n"
        "time.sleep(600)\n"
    )
    with refused("ran for more than 3 s"):
        ask_hpccm(recipe, RecipeArguments(), timeout=3)
    assert not is_running(int(child.read_text()))


def test_what_a_recipe_leaves_running_is_stopped(recipe: Path) -> None:
    child = recipe.with_name("child")
    recipe.write_text(
        f"import subprocess\nopen({str(child)!r}, 'w').write(str(subprocess.Popen(['sleep', '600']).pid))\n{BASE}"
    )
    ask_hpccm(recipe, RecipeArguments())
    assert not is_running(int(child.read_text()))


def is_running(process: int) -> bool:
    """Whether a process still runs; a killed one may be there until its new parent asks for it."""
    for _ in range(50):
        state = Path(f"/proc/{process}/stat")
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            return False
        time.sleep(0.1)
    return True


def test_an_answer_has_a_limit(recipe: Path, refused: Refused) -> None:
    recipe.write_text(f"{BASE}Stage0 += 'x' * (80 * 1024 * 1024)\n")
    with refused("recipe.py"):
        read_source(recipe)


def test_without_hpccm_one_line_says_what_to_do(recipe: Path, tmp_path: Path) -> None:
    recipe.write_text(BASE)
    script = (
        "import sys; from pathlib import Path; import hpc3.sources.hpccm_recipe as asked; "
        "asked._pythons = lambda: iter([sys.argv[1]])\n"
        "from hpc3.sources import read_source\n"
        "try: read_source(Path(sys.argv[2]))\nexcept Exception as error: print(type(error).__name__, error)"
    )
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    command = [sys.executable, "-c", script, str(tmp_path / "bare" / "bin" / "python"), str(recipe)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.startswith("InputError")
    assert "pip install hpccm" in said
    assert len(said.splitlines()) == 1


def test_hpccm_is_found_by_its_script_on_path(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HPCCM's own Python is asked where ours has none: here ours is hidden, and the script names the real one."""
    recipe.write_text(BASE)
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "hpccm"
    script.write_text(f"#!{sys.executable}\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(sys, "executable", "/nonexistent/python3")
    assert json.loads(ask_hpccm(recipe, RecipeArguments()))["stages"]
