"""Images that keep the contract and images that do not, started for real."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from hpc3.consume.start_modes import Engine, check_start_modes
from hpc3.consume.subject import Subject
from hpc3.vocabulary import key

pytestmark = pytest.mark.images

PATH = "/opt/app/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: As Debian's: resets PATH, then reads profile.d.
PROFILE = 'PATH=/usr/bin:/bin\nfor f in /etc/profile.d/*.sh; do [ -r "$f" ] && . "$f"; done\n'
SNIPPET = 'case ":$PATH:" in *:/opt/app/bin:*) ;; *) PATH=/opt/app/bin:$PATH;; esac; export PATH\n'
GOOD = f'ENV PATH={PATH}\nWORKDIR /\nENTRYPOINT []\nCMD ["/bin/bash","-l"]\n'


#: Inside a container cgroups may be mounted in hybrid mode, and limits cannot be raised: podman then needs help.
WRAPPER = """#!/bin/sh
if [ "$1" = run ]; then
  shift
  set -- run --cgroups=disabled --ulimit nofile=1024:1024 --ulimit nproc=1000:1000 "$@"
fi
set -- podman --root "{root}" --runroot "{runroot}" --storage-driver=vfs --cgroup-manager=cgroupfs "$@"
if [ "$(id -u)" != 0 ]; then exec "$@"; fi
exec unshare -m sh -c 'umount -R /sys/fs/cgroup 2>/dev/null; mount -t cgroup2 none /sys/fs/cgroup; exec "$@"' sh "$@"
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """Return podman with storage of its own."""
    if shutil.which("podman") is None:
        pytest.skip("podman is not here")
    folder = tmp_path_factory.mktemp("storage")
    script = folder / "podman"
    script.write_text(WRAPPER.format(root=folder / "root", runroot=folder / "run"))
    script.chmod(0o755)
    return Engine((str(script),))


@pytest.fixture(scope="module")
def build(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], str]:
    """Build an image of this system's bash and its libraries with the given Dockerfile tail and profile snippet."""
    context = tmp_path_factory.mktemp("context")
    root = context / "root"
    for program in ("/bin/bash", "/bin/cat"):
        copy_with_libraries(Path(program), root)
    (root / "bin/sh").symlink_to("bash")
    for name, text in (
        ("etc/profile", PROFILE),
        ("etc/profile.d/app.sh", SNIPPET),
        ("opt/app/bin/app", "#!/bin/sh\necho app\n"),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
        (root / name).chmod(0o755)
    (root / "tmp").mkdir()

    def make(tail: str, snippet: str = SNIPPET) -> str:
        (root / "etc/profile.d/app.sh").write_text(snippet)
        (context / "Dockerfile").write_text(f"FROM scratch\nCOPY root /\n{tail}")
        command = [*engine.command, "build", "--quiet", "--isolation=chroot", "--network=host", str(context)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"podman does not build here: {done.stderr.strip()[-200:]}")
        image = done.stdout.split()[-1]
        trial = subprocess.run(
            [*engine.command, "run", "--rm", "--network=none", "--entrypoint", "/bin/bash", image, "-c", "exit 7"],
            capture_output=True,
            text=True,
        )
        if trial.returncode != 7:
            pytest.skip(f"podman does not run containers here: {trial.stderr.strip()[-200:]}")
        return image

    return make


def copy_with_libraries(program: Path, root: Path) -> None:
    done = subprocess.run(["ldd", program], capture_output=True, text=True, check=True)
    files = [word for word in done.stdout.split() if word.startswith("/")]
    for file in (str(program), *files):
        target = root / file.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(os.path.realpath(file), target)


def found(engine: Engine, image: str, smoke_test: str = "") -> set[str]:
    annotations = {key("smoketest.command"): smoke_test} if smoke_test else {}
    subject = Subject(image, annotations=annotations, config={"Env": [f"PATH={PATH}"]})
    return {each.code for each in check_start_modes(engine, image, subject)}


def test_a_conformant_image(engine: Engine, build: Callable[..., str]) -> None:
    image = build(GOOD)
    assert found(engine, image) == set()
    assert found(engine, image, '["sh", "-c", "exit 0"]') == set()
    assert found(engine, image, '["sh", "-c", "exit 3"]') == {"HPC607"}


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
    tail: str, snippet: str, expected: set[str], engine: Engine, build: Callable[..., str]
) -> None:
    assert expected <= found(engine, build(tail, snippet))
