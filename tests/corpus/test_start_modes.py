"""Images that keep the contract and images that do not, started for real."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

import peers
from hpc3.cli import main
from hpc3.consume.container_engines import Start, open_engine
from hpc3.consume.start_modes import check_start_modes
from hpc3.consume.subject import Subject
from hpc3.errors import StoreError
from hpc3.vocabulary import key

pytestmark = pytest.mark.images

PATH = "/opt/app/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: As Debian's: resets PATH, then reads profile.d.
PROFILE = 'PATH=/usr/bin:/bin\nfor f in /etc/profile.d/*.sh; do [ -r "$f" ] && . "$f"; done\n'
SNIPPET = 'case ":$PATH:" in *:/opt/app/bin:*) ;; *) PATH=/opt/app/bin:$PATH;; esac; export PATH\n'
GOOD = f'ENV PATH={PATH}\nWORKDIR /\nENTRYPOINT []\nCMD ["/bin/bash","-l"]\n'


#: Inside a container cgroups may be mounted in hybrid mode, and limits cannot be raised: podman then needs help.
PODMAN = """#!/bin/sh
if [ "$1" = run ]; then
  shift
  set -- run --cgroups=disabled --ulimit nofile=1024:1024 --ulimit nproc=1000:1000 "$@"
fi
set -- podman {storage} --cgroup-manager=cgroupfs "$@"
if [ "$(id -u)" != 0 ]; then exec "$@"; fi
exec unshare -m sh -c 'umount -R /sys/fs/cgroup 2>/dev/null; mount -t cgroup2 none /sys/fs/cgroup; exec "$@"' sh "$@"
"""
BUILDAH = """#!/bin/sh
exec buildah {storage} "$@"
"""
#: Engines to the codes that they cannot find, having no entrypoint or no default command.
BLIND = {"podman": set(), "buildah": set(), "ch-run": {"HPC601", "HPC602", "HPC606"}}


@dataclass(frozen=True)
class Images:
    """Images of this system's bash and its libraries, for every engine that is here."""

    folder: Path

    def command(self, engine: str) -> list[str]:
        return [str(self.folder / "bin" / engine)] if engine in ("podman", "buildah") else [engine]

    def build(self, tail: str, snippet: str) -> str:
        """Build with a Dockerfile's tail and the snippet in profile.d; return the image's name."""
        (self.folder / "context/root/etc/profile.d/app.sh").write_text(snippet)
        (self.folder / "context/Dockerfile").write_text(f"FROM scratch\nCOPY root /\n{tail}")
        name = f"localhost/{hashlib.sha256((tail + snippet).encode()).hexdigest()[:12]}:1"
        options = ["build", "--quiet", "--isolation=chroot", "--network=host", "-t", name]
        done = subprocess.run(
            [*self.command("podman"), *options, str(self.folder / "context")], capture_output=True, text=True
        )
        if done.returncode:
            pytest.skip(f"podman does not build here: {done.stderr.strip()[-200:]}")
        return name

    def name_for(self, engine: str, image: str) -> str:
        """Return what the engine knows the image by."""
        return self._unpacked(image) if engine == "ch-run" else image

    def _unpacked(self, name: str) -> str:
        """Return the image as a folder, as ch-convert lays it out."""
        folder = self.folder / name.rpartition("/")[2].partition(":")[0]
        if folder.exists():
            return str(folder)
        shutil.copytree(self.folder / "context/root", folder, symlinks=True)
        for mount in ("ch", "dev", "home", "proc", "sys"):
            (folder / mount).mkdir()
        for file in ("hosts", "resolv.conf"):
            (folder / "etc" / file).touch()
        (folder / "ch/environment").write_text(f"PATH={PATH}\n")
        return str(folder)

    def found(self, engine: str, image: str, smoke_test: str = "") -> set[str]:
        annotations = {key("smoketest.command"): smoke_test} if smoke_test else {}
        subject = Subject(image, annotations=annotations, config={"Env": [f"PATH={PATH}"]})
        with open_engine(self.command(engine), self.name_for(engine, image)) as opened:
            return {each.code for each in check_start_modes(opened, subject)}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Images:
    peers.need_program("podman")
    folder = tmp_path_factory.mktemp("start-modes")
    (folder / "bin").mkdir()
    storage = f"--root {folder}/root --runroot {folder}/run --storage-driver=vfs"
    for name, text in (("podman", PODMAN), ("buildah", BUILDAH)):
        (folder / "bin" / name).write_text(text.format(storage=storage))
        (folder / "bin" / name).chmod(0o755)
    root = folder / "context/root"
    for program in ("/bin/bash", "/bin/cat"):
        copy_with_libraries(Path(program), root)
    (root / "bin/sh").symlink_to("bash")
    for file, text in (
        ("etc/profile", PROFILE),
        ("etc/profile.d/app.sh", SNIPPET),
        ("opt/app/bin/app", "#!/bin/sh\necho app\n"),
    ):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(text)
        (root / file).chmod(0o755)
    (root / "tmp").mkdir()
    return Images(folder)


@pytest.fixture(params=["podman", "buildah", "ch-run", "apptainer"])
def engine(request: pytest.FixtureRequest, images: Images, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of an engine that starts containers here."""
    name: str = request.param
    monkeypatch.setenv("USER", "root")  # ch-run asks for it
    monkeypatch.setenv("BUILDAH_ISOLATION", "chroot" if os.getuid() == 0 else "rootless")
    peers.need_program(name)
    image = images.build(GOOD, SNIPPET)
    try:
        with open_engine(images.command(name), images.name_for(name, image)) as opened:
            trial = opened.start(Start(("sh", "-c", "exit 7"), bypass=True))
    except StoreError as error:
        pytest.skip(f"{name} does not run containers here: {error}")
    assert trial.code == 7
    return name


def copy_with_libraries(program: Path, root: Path) -> None:
    done = subprocess.run(["ldd", program], capture_output=True, text=True, check=True)
    files = [word for word in done.stdout.split() if word.startswith("/")]
    for file in (str(program), *files):
        target = root / file.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(os.path.realpath(file), target)


def test_a_conformant_image(engine: str, images: Images) -> None:
    image = images.build(GOOD, SNIPPET)
    unseen = {"HPC608"} if BLIND[engine] else set()
    assert images.found(engine, image) == unseen
    assert images.found(engine, image, '["sh", "-c", "exit 0"]') == unseen
    assert images.found(engine, image, '["sh", "-c", "exit 3"]') == {"HPC607"} | unseen


@pytest.mark.parametrize(
    ("tail", "snippet", "expected"),
    [
        (GOOD, "", {"HPC603"}),  # ENV alone: /etc/profile resets PATH
        ('ENTRYPOINT ["/bin/sh","-c","$*","--"]\nCMD ["/bin/bash","-l"]\n' + f"ENV PATH={PATH}\n", SNIPPET, {"HPC601"}),
        (f'ENV PATH={PATH}\nENTRYPOINT ["/opt/app/bin/app"]\n', SNIPPET, {"HPC602", "HPC606"}),
        (f'ENV PATH={PATH}\nENTRYPOINT []\nCMD ["/bin/cat","/nowhere"]\n', SNIPPET, {"HPC606"}),
    ],
)
def test_images_that_break_the_contract(
    tail: str, snippet: str, expected: set[str], engine: str, images: Images
) -> None:
    assert expected - BLIND[engine] <= images.found(engine, images.build(tail, snippet))


def test_there_is_no_network(engine: str, images: Images) -> None:
    image = images.build(GOOD, SNIPPET)
    with open_engine(images.command(engine), images.name_for(engine, image)) as opened:
        devices = opened.start(Start(("cat", "/proc/net/dev"))).output.splitlines()[2:]
    assert [line.split(":")[0].strip() for line in devices] == ["lo"]


def test_an_image_that_is_not_there_is_the_engines_failure(engine: str, images: Images) -> None:
    with (
        pytest.raises(StoreError, match="cannot start it"),
        open_engine(images.command(engine), "localhost/none:1") as opened,
    ):
        opened.start(Start(("sh",)))


def test_the_verb_starts_it_and_names_what_it_did_not_see(
    engine: str, images: Images, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    image = images.build(GOOD, "")
    (tmp_path / "Dockerfile").write_text(f"FROM localhost/base\n{GOOD}")
    name = images.name_for(engine, image)
    command = " ".join(images.command(engine))
    assert main(["validate", str(tmp_path / "Dockerfile"), "--run", name, "--engine", command]) == 1
    out = capfd.readouterr().out
    assert "HPC603" in out
    assert ("IMAGE alone (it always asks for a command)" in out) == (engine == "ch-run")
