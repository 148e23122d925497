"""What BuildKit's parser reads back in the unit tests, a real build reads back too: labels, variables, names."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

import peers
from hpc3.recipe.dockerfile import render_dockerfile
from hpc3.recipe.plan import Argument, Copy, Plan, Stage
from hpc3.request import EnvironmentChange
from images.engines import Engines

pytestmark = pytest.mark.images

HURTING = [
    '{"a":"b $HOME"}', "$", "$$", "${X}", "${X:-y}", "\\", "\\\\", '\\"', '"', "'", "`id`", "a # b", "# a", " a ", "",
    "a=b", "<<EOF", "a\\", "\\n", "%s", "漢字🐍", "\x1b[2J", "\u2028", "a" * 30_000, "a,b", "a;b", "a|b", "!", "*", "~",
    "\\$HOME",
]  # fmt: skip
ALPHABET = "\\\"'$`{}:#<>-+=&|;*?[]%! abcXYZ019_/.~^@é漢"
NAMES = [
    "plain", "a b", "a$b", "a]b", "a'b", 'a"b', "${HOME}", "a{b,c}", "~", "#a", "-a", "<<EOF", "é", "a,b", "a;b",
    "!a",
]  # fmt: skip


@pytest.fixture
def engine(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Engines:
    """Return buildah on a new storage of plain folders: nothing that stays mounted when the test fails."""
    peers.need_program("buildah")
    monkeypatch.setenv("STORAGE_DRIVER", "vfs")
    return Engines(tmp_path_factory.mktemp("scratch-storage"))


def values() -> dict[str, str]:
    """Return 200 labels: those that hurt, and as many more by chance as it takes."""
    chance = random.Random(20231)
    made = ["".join(chance.choices(ALPHABET, k=chance.randint(0, 40))) for _ in range(200 - len(HURTING))]
    return {f"org.example.label-{i}": value for i, value in enumerate([*HURTING, *made])}


def test_labels_variables_and_names(engine: Engines, tmp_path: Path) -> None:
    labels = values()
    variables = {name.replace("org.example.label-", "V"): value for name, value in labels.items()}
    for name in NAMES:
        (tmp_path / "files" / name).mkdir(parents=True)
        (tmp_path / "files" / name / "inside").write_text(name)
        (tmp_path / name).write_text(name)
    copies = [
        *(Copy("x", (name,), f"/copied/{i}/") for i, name in enumerate(NAMES)),
        *(Copy("x", (f"files/{name}",), f"/folders/{name}/") for name in NAMES),
    ]
    text = render_dockerfile(
        Plan(
            header=("x",),
            arguments=(Argument("IMAGE", "scratch", "x"),),
            stages=(Stage("final", "IMAGE", tuple(copies)),),
            environment=tuple(
                EnvironmentChange("set", name, value)
                for name, value in sorted(variables.items())
                if value.isprintable()
            ),
            labels=labels,
        )
    )
    (tmp_path / "Dockerfile").write_text(text, "utf-8")
    engine.build(tmp_path, "localhost/values")

    config = json.loads(engine.buildah("inspect", "--type", "image", "localhost/values").stdout)["OCIv1"]["config"]
    assert {n: v for n, v in config["Labels"].items() if n.startswith("org.example.")} == labels
    found = dict(entry.split("=", 1) for entry in config["Env"])
    assert {n: v for n, v in found.items() if n.startswith("V")} == {
        n: v for n, v in variables.items() if v.isprintable()
    }
    assert not config.get("Entrypoint")
    assert config["Cmd"] == ["/bin/bash", "-l"]

    container = engine.buildah("from", "--pull-never", "localhost/values").stdout.strip()
    root = Path(engine.buildah("mount", container).stdout.strip())
    copied = {i: [path.name for path in (root / "copied" / str(i)).iterdir()] for i in range(len(NAMES))}
    assert copied == {i: [name] for i, name in enumerate(NAMES)}
    folders = {path.name: (path / "inside").read_text() for path in (root / "folders").iterdir()}
    assert folders == {name: name for name in NAMES}
