"""Verbs, exit codes and streams: the product on stdout, talk on stderr, an error as one line."""

from __future__ import annotations

import gc
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hpc3 import __version__
from hpc3.cli import main
from hpc3.cli.main import VERBS
from unit.cli.process import HPC3, complaint, hpc3
from unit.locks import COMMITTED, lock_bytes, lock_document, make_lock, mpi, node
from unit.recipe.buildkit import labels

ZLIB = COMMITTED / "v1.1.0" / "zlib-generic"
HELLO = COMMITTED / "v1.1.0" / "mpi-hello"
SOURCE_VERBS = ("facts", "annotations", "containerize", "sbom")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a copy of a real environment."""
    shutil.copytree(ZLIB, tmp_path / "env")
    return tmp_path / "env"


def test_help() -> None:
    result = hpc3("--help")
    assert result.returncode == 0
    assert all(f"  {verb}" in result.stdout for verb in VERBS)
    assert result.stderr == ""


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_each_verb(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([verb, "--help"])
    gc.enable()
    out = capsys.readouterr().out
    assert caught.value.code == 0
    assert out.startswith(f"usage: hpc3 {verb} ")
    assert VERBS[verb] in " ".join(out.split())
    assert "--quiet" in out


def test_version() -> None:
    assert hpc3("--version").stdout == f"hpc3 {__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["no-such-verb"], ["--no-such-option"], ["facts"], ["facts", "a", "b"]])
def test_usage(arguments: list[str]) -> None:
    result = hpc3(*arguments)
    assert result.returncode == 2
    assert "usage: hpc3" in result.stdout + result.stderr
    assert "Traceback" not in result.stderr


def test_main_is_a_function(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["annotations", str(ZLIB), "--quiet"]) == 0
    assert json.loads(capsysbinary.readouterr().out)["org.opencontainers.image.title"] == "zlib"


@pytest.mark.parametrize("verb", SOURCE_VERBS)
def test_every_verb_reads_every_form_of_source(verb: str, tmp_path: Path) -> None:
    from_folder = hpc3(verb, HELLO, "--quiet")
    assert from_folder.returncode == 0, from_folder.stderr
    assert from_folder.stderr == ""
    assert hpc3(verb, HELLO / "spack.lock", "--quiet").stdout == from_folder.stdout
    (tmp_path / "facts.json").write_text(hpc3("facts", HELLO).stdout)
    again = hpc3(verb, tmp_path / "facts.json", "--quiet")
    if verb == "containerize":
        complaint(again, 3)
    else:
        assert again.stdout == from_folder.stdout


def test_annotations_as_labels() -> None:
    printed = hpc3("annotations", HELLO, "--format", "labels", "--quiet").stdout
    values = json.loads(hpc3("annotations", HELLO, "--quiet").stdout)
    found = labels("FROM scratch\n" + printed)
    assert found
    assert found.items() <= values.items()


def test_annotations_as_arguments() -> None:
    printed = hpc3("annotations", HELLO, "--format", "args", "--quiet").stdout
    values = json.loads(hpc3("annotations", HELLO, "--quiet").stdout)
    words = shlex.split(printed)
    assert words[::2] == ["--annotation"] * len(values)
    assert dict(word.split("=", 1) for word in words[1::2]) == values


def test_talk_is_on_stderr_and_quiet_silences_it() -> None:
    loud, quiet = hpc3("annotations", ZLIB), hpc3("annotations", ZLIB, "--quiet")
    assert "hpc3: not stated: " in loud.stderr
    assert all(line.startswith("hpc3: ") for line in loud.stderr.splitlines())
    assert quiet.stderr == ""
    assert quiet.stdout == loud.stdout


def test_warnings_of_the_manifest_are_told(folder: Path) -> None:
    (folder / "spack.yaml").write_text("spack: {view: false}\n")
    assert "hpc3: spack.yaml: view is set" in hpc3("containerize", folder).stderr
    assert hpc3("containerize", folder, "--quiet").stderr == ""


BAD = {
    "empty": b"",
    "binary": b"\x7fELF\x00\xff",
    "cut": make_lock(node("app"))[:-20],
    "unknown version": lock_bytes(
        {**lock_document(node("app")), "_meta": {"file-type": "spack-lockfile", "lockfile-version": 99}}
    ),
    "no roots": make_lock(node("app"), roots=[]),
    "dangling": make_lock(node("app", "1", "gone")),
    "cycle": make_lock(node("app", "1", "lib"), node("lib", "1", "app")),
    "unknown target": make_lock(node("app", target="zen99")),
    "incomparable": make_lock(node("app", "1", "lib", target="zen3"), node("lib", target="skylake_avx512")),
    "two MPIs": make_lock(node("app", "1", mpi("mpich"), mpi("openmpi")), node("mpich"), node("openmpi")),
    "hostile": make_lock(node("a\x1b[2J\nb")),
    "deep": b"[" * 300_000,
}


@pytest.mark.parametrize("verb", SOURCE_VERBS)
@pytest.mark.parametrize("data", BAD.values(), ids=list(BAD))
def test_bad_locks(verb: str, data: bytes, folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "spack.lock").write_bytes(data)
    code = main([verb, str(folder), "-o", str(tmp_path / "product")])
    gc.enable()  # the command line switches it off for its short life
    out, err = capfd.readouterr()
    assert (code, out) == (3, "")
    assert err.startswith("hpc3: error: spack.lock: ")
    assert err.count("\n") == 1
    assert err[:-1].isprintable()
    assert not (tmp_path / "product").exists()


@pytest.mark.parametrize("data", [BAD["binary"], BAD["hostile"], BAD["deep"]], ids=["binary", "hostile", "deep"])
def test_bad_locks_in_a_process(data: bytes, folder: Path) -> None:
    (folder / "spack.lock").write_bytes(data)
    assert "spack.lock" in complaint(hpc3("containerize", folder), 3)


def test_two_hundred_megabytes_are_refused_at_once(folder: Path) -> None:
    with (folder / "spack.lock").open("wb") as stream:
        stream.truncate(200 * 1024 * 1024)
    assert "128 MiB" in complaint(hpc3("facts", folder), 3)


@pytest.mark.parametrize("source", ["gone", "gone.lock", "gone.json", "", "a\nb", "\x1b[2J"])
def test_no_source(source: str, tmp_path: Path) -> None:
    complaint(hpc3("facts", source, cwd=tmp_path), 3)


def test_source_whose_name_is_no_text(tmp_path: Path) -> None:
    result = subprocess.run([*HPC3, "facts", b"\xff\xfe"], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "there is no such file" in complaint(result, 3)


def test_picked_roots(tmp_path: Path) -> None:
    (tmp_path / "spack.lock").write_bytes(make_lock(node("a", "1"), node("b", "2"), roots=["a", "b"]))
    picked = hpc3("annotations", tmp_path, "--root", "b", "--quiet")
    assert json.loads(picked.stdout)["org.supercontainers.software.packages"] == "b@2"
    both = hpc3("annotations", tmp_path, "--root", "b", "--root", "a@1", "--quiet")
    assert json.loads(both.stdout)["org.supercontainers.software.packages"] == "a@1,b@2"
    assert "'c'" in complaint(hpc3("annotations", tmp_path, "--root", "c"), 3)


def test_external(tmp_path: Path) -> None:
    environment = COMMITTED / "v1.1.0" / "osu-external-openmpi"
    assert "--external openmpi=" in complaint(hpc3("containerize", environment), 3)
    given = hpc3("containerize", environment, "--external", "openmpi=openmpi-bin,libopenmpi3", "--quiet")
    assert " libopenmpi3 openmpi-bin" in given.stdout
    assert hpc3("containerize", environment, "--external", "openmpi=", "--quiet").returncode == 0


@pytest.mark.parametrize("value", ["openmpi", "=x", ""])
def test_external_without_packages_is_a_slip(value: str) -> None:
    assert "NAME=PACKAGE" in complaint(hpc3("containerize", ZLIB, "--external", value), 2)


def test_external_that_the_lock_does_not_have() -> None:
    assert "--external nothing" in complaint(hpc3("containerize", ZLIB, "--external", "nothing=x"), 2)


@pytest.mark.parametrize("packages", ["-o=x", "a,-b", "a b", "a\tb"])
def test_external_packages_are_words_and_no_options(packages: str) -> None:
    environment = COMMITTED / "v1.1.0" / "osu-external-openmpi"
    complaint(hpc3("containerize", environment, "--external", f"openmpi={packages}"), 2)


def test_check(folder: Path) -> None:
    recipe = folder / "Dockerfile"
    assert hpc3("containerize", folder, "-o", recipe, "--quiet").returncode == 0
    fresh = hpc3("containerize", folder, "--check", recipe, "--quiet")
    assert (fresh.returncode, fresh.stdout, fresh.stderr) == (0, "", "")
    recipe.write_text(recipe.read_text().replace("WORKDIR /", "WORKDIR /root"))
    stale = hpc3("containerize", folder, "--check", recipe)
    assert stale.returncode == 1
    assert "\n-WORKDIR /root\n+WORKDIR /\n" in stale.stdout
    assert stale.stderr.splitlines()[-1] == f"hpc3: {recipe} is not up to date: write it anew with -o {recipe}"
    assert "WORKDIR /root" in recipe.read_text(), "a check writes nothing"


def test_check_of_what_is_not_there(folder: Path) -> None:
    assert "no such file" in complaint(hpc3("containerize", folder, "--check", folder / "gone", "--quiet"), 3)


def test_check_of_what_is_no_text(folder: Path) -> None:
    (folder / "Dockerfile").write_bytes(b"\xff\x00\x1b[2J")
    result = hpc3("containerize", folder, "--check", folder / "Dockerfile", "--quiet")
    assert result.returncode == 1
    assert "\x1b" not in result.stdout


def test_reader_that_had_enough() -> None:
    command = " ".join(map(shlex.quote, [*HPC3, "facts", str(COMMITTED / "v1.1.0" / "osu-openmpi-ucx")]))
    script = f'{{ {command}; echo "code $?" >&2; }} | head -c 1 >/dev/null'
    result = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)
    assert result.stderr == "code 0\n"


@pytest.mark.parametrize(
    ("streams", "code"), [(">&-", 3), (">&- 2>&-", 3), ("2>&-", 0), ("<&-", 0), ("<&- >&- 2>&-", 3)]
)
def test_streams_that_are_closed(streams: str, code: int) -> None:
    command = " ".join(map(shlex.quote, [*HPC3, "annotations", str(ZLIB)]))
    result = subprocess.run(["/bin/sh", "-c", f"{command} {streams}"], capture_output=True, text=True, check=False)
    assert result.returncode == code
    assert "Traceback" not in result.stderr
    assert result.stdout == ("" if code else hpc3("annotations", ZLIB, "--quiet").stdout), "talk is never on stdout"


def test_disk_behind_stdout_that_is_full() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    with Path("/dev/full").open("wb") as full:
        result = subprocess.run(
            [*HPC3, "facts", str(ZLIB), "--quiet"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert result.returncode == 3
    assert result.stderr.count("\n") == 1
    assert "No space left on device" in result.stderr


def test_interrupt(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "out")
    command = [*HPC3, "facts", str(ZLIB), "-o", str(tmp_path / "out"), "--quiet"]

    def listen() -> None:
        """Tests in the background of a shell ignore SIGINT, and so would what they start."""
        signal.signal(signal.SIGINT, signal.default_int_handler)

    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=listen) as process:
        assert process.stderr is not None
        try:
            process.wait(1.5)  # it waits for a reader
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
        assert process.stderr.read() == "hpc3: error: interrupted\n"
    assert process.returncode == 130


@pytest.mark.parametrize("locale", ["C", "POSIX", "C.UTF-8"])
def test_locale_does_not_matter(folder: Path, locale: str) -> None:
    (folder / "spack.yaml").write_text("spack: {container: {labels: {a: Grüße 漢字}}}\n", "utf-8")
    command = [*HPC3, "containerize", str(folder)]
    env = {**os.environ, "LC_ALL": locale, "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    result = subprocess.run(command, capture_output=True, check=True, env=env)
    assert "Grüße 漢字".encode() in result.stdout


HELP = """
import sys
from hpc3.cli import main
try:
    main(["--help"])
except SystemExit:
    print(*sorted(sys.modules), file=sys.stderr)
"""


def test_help_imports_next_to_nothing() -> None:
    modules = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=True).stderr.split()
    assert {name for name in modules if name.startswith("hpc3")} == {"hpc3", "hpc3.cli", "hpc3.cli.main", "hpc3.errors"}
    heavy = {
        "yaml",
        "archspec",
        "json",
        "dataclasses",
        "inspect",
        "pathlib",
        "tempfile",
        "difflib",
        "subprocess",
        "hashlib",
    }
    assert not heavy & set(modules)


INSIDE_SPACK = """
import json, pathlib, sys
before = set(sys.modules)
from hpc3.containerize import RecipeOptions, recipe_from_source
from hpc3.sources.spack_environment import environment_source
def load(data, name):
    return {"spack": {"specs": ["zlib"]}}
source = environment_source(pathlib.Path(sys.argv[1]), (), load)
recipe_from_source(source, RecipeOptions())
third = {name.partition(".")[0] for name, module in sys.modules.items() if name not in before
         and "site-packages" in (getattr(module, "__file__", None) or "")}
print(*sorted(third - {"hpc3"}))
"""


def test_inside_spack_the_standard_library_and_archspec_are_enough() -> None:
    result = subprocess.run([sys.executable, "-c", INSIDE_SPACK, str(ZLIB)], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["archspec"]
