"""Tell the story: print each step with what is typed, run it, print what matters of its output, as Markdown."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from stage import Stage, StoryStopped, open_stage
from story import BASE_FROM_CACHE, BASE_FROM_DEBIAN, STEPS, Step

#: Programs and files that the steps need, and Debian's packages that have them.
PEERS = {
    "buildah": "buildah",
    "podman": "podman",
    "crun": "crun",  # where runc is there already, podman comes without it, and runc needs cgroups
    "docker-registry": "docker-registry",
    "debootstrap": "debootstrap",
    "jq": "jq",
    "/usr/share/lmod/lmod/libexec/lmod": "lmod",
    "/etc/ssl/certs/ca-certificates.crt": "ca-certificates",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="demo/run", description="From an easyconfig to a verified, running image.")
    parser.add_argument("--install", action="store_true", help="install what is missing with apt-get")
    parser.add_argument("--keep", action="store_true", help="leave images, registry and folder for a look around")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as by Ctrl-C: nothing is left behind
    try:
        require_machine()
        require_packages(install=args.install)
        with open_stage(keep=args.keep) as stage:
            tell(stage)
    except StoryStopped as stopped:
        print(f"demo/run: {stopped}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def require_machine() -> None:
    """Stop where the story cannot take place.

    Raises:
        StoryStopped: with the reason.
    """
    if os.geteuid() != 0:
        raise StoryStopped("debootstrap and the engines need root here")
    if platform.machine() != "x86_64":
        raise StoryStopped(f"its images are for x86-64, this machine is {platform.machine()}")
    if " avx2 " not in Path("/proc/cpuinfo").read_text("utf-8"):
        raise StoryStopped("this processor has no AVX2: neither of its images runs here")


def require_packages(*, install: bool) -> None:
    """Say what is missing and how to get it, or get it.

    Raises:
        StoryStopped: something is missing still.
    """
    missing = missing_packages()
    if not missing:
        return
    command = f"apt-get update && apt-get install --yes --no-install-recommends {' '.join(missing)}"
    if not install:
        raise StoryStopped(f"something is missing; --install does this, or do it yourself:\n{command}")
    print(f"Installing {' '.join(missing)} …", file=sys.stderr)
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise StoryStopped(f"{command}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def missing_packages() -> list[str]:
    """Return the packages that have what is missing, sorted."""
    missing = {package for need, package in PEERS.items() if not (shutil.which(need) or Path(need).exists())}
    # Debian's Python comes without what makes virtual environments.
    venv = subprocess.run([sys.executable, "-c", "import ensurepip"], capture_output=True, check=False)
    return sorted(missing | ({"python3-venv"} if venv.returncode else set()))


def base_step() -> Step:
    """Return the step that makes the base image: from the tar file of the project's tests where there is one."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    tar = cache / "hpc3-peers" / "debian-12-rootfs.tar"
    if not tar.exists():
        return BASE_FROM_DEBIAN
    return replace(BASE_FROM_CACHE, command=BASE_FROM_CACHE.command.replace("$BASE", str(tar)))


def tell(stage: Stage) -> None:
    """Print and run all steps.

    Raises:
        StoryStopped: one of them ended otherwise than the story says.
    """
    print("Everything happens in a temporary folder, with a registry on loopback:\n")
    print(f"```sh\n{stage.exports}\ndocker-registry serve registry.yml &\n```")
    for number, step in enumerate((base_step(), *STEPS), 1):
        print(f"\n## {number}. {step.title}\n\n{step.says}\n\n```sh\n{step.command}\n```", flush=True)
        said = stage.run(step)
        if said:
            print("\n".join(["\n```text", *said, "```"]), flush=True)


if __name__ == "__main__":
    sys.exit(main())
