"""``apptainer build`` as far as our definition files use it, where there is no Apptainer: by buildah's containers.

After internal/pkg/build/{build,stage,metadata}.go and files/copy.go of github.com/apptainer/apptainer, 1.5.3: files are
copied first (from the host by ``cp -fLr``), then ``%post`` runs by ``/bin/sh -ex`` from a file, then the scripts are
written to ``/.singularity.d``; a start sources ``env/90-environment.sh`` and runs ``runscript``.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from images.engines import Engines
from unit.recipe.definition_parser import ParsedStage, parse_definition

#: How ``apptainer run`` starts an image; ``apptainer exec`` leaves the runscript out.
RUN = ("/bin/sh", "-c", '. /.singularity.d/env/90-environment.sh; exec /.singularity.d/runscript "$@"', "run")
EXEC = ("/bin/sh", "-c", '. /.singularity.d/env/90-environment.sh; exec "$@"', "exec")


def build_definition(
    engines: Engines, text: str, context: Path, name: str, arguments: Mapping[str, str], options: Sequence[str]
) -> dict[str, str]:
    """Build an image from a definition file and return its labels."""
    roots: dict[str, Path] = {}
    containers: list[str] = []
    stages = parse_definition(text, arguments)
    for stage in stages:
        container = engines.buildah("from", "--pull-never", stage.header["from"]).stdout.strip()
        containers.append(container)
        root = Path(engines.buildah("mount", container).stdout.strip())
        roots[stage.header["stage"]] = root
        (root / ".singularity.d").mkdir()
        (root / ".singularity.d" / "labels.json").write_text('{"org.opencontainers.image.title": "the base"}')
        _copy_files(stage, context, roots)
        _run_post(engines, stage, container, root, options)
    final, root = stages[-1], roots[stages[-1].header["stage"]]
    _write_scripts(final, root)
    present = root / ".singularity.d" / "labels.json"
    base = json.loads(present.read_text()) if present.exists() else {}
    engines.buildah("commit", "-q", containers[-1], name)
    for container in containers:
        engines.buildah("rm", container)
    return {**final.labels, **base}  # what is there already wins


def _copy_files(stage: ParsedStage, context: Path, roots: Mapping[str, Path]) -> None:
    root = roots[stage.header["stage"]]
    for title, pairs in stage.files.items():
        origin = roots[title.split()[1]] if title else context
        for source, destination in pairs:
            target = f"{root}{destination}"
            folder = Path(target if target.endswith("/") else target.rpartition("/")[0])
            folder.mkdir(parents=True, exist_ok=True)
            flags = "-a" if title else "-fLr"
            subprocess.run(["cp", flags, str(origin / source.lstrip("/")), target], check=True)


def _run_post(engines: Engines, stage: ParsedStage, container: str, root: Path, options: Sequence[str]) -> None:
    script = root / ".post.script"
    script.write_text(stage.scripts["post"])
    shell = ("/bin/sh", "-ex", "/.post.script")
    engines.buildah("run", "--isolation", "chroot", "--network", "host", *options, container, "--", *shell)
    script.unlink()


def _write_scripts(stage: ParsedStage, root: Path) -> None:
    for section, path in (("environment", "env/90-environment.sh"), ("runscript", "runscript")):
        script = root / ".singularity.d" / path
        script.parent.mkdir(exist_ok=True)
        script.write_text(f"#!/bin/sh\n\n{stage.scripts[section]}\n")
        script.chmod(0o755)
