"""Released easyconfigs: their annotations as a person reviewed them, and closures as EasyBuild itself resolves them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from easybuild_peer import HERE, EasyBuild, easybuild_home

pytestmark = pytest.mark.easybuild

#: Release of EasyBuild, easyconfig of that release, options, modules that loading it loads (itself among them).
EASYCONFIGS = [
    ("5.4.1", "GROMACS-2024.4-foss-2023b", (), 40),
    ("5.4.1", "GROMACS-2025.4-foss-2025b-CUDA-12.9.1", ("--cuda-compute-capabilities=8.0,9.0",), 44),
    ("5.4.1", "HPL-2.3-foss-2025b", (), 25),
    ("5.4.1", "HPL-2.3-intel-2025b", (), 12),
    ("5.4.1", "Nextflow-26.04.6", (), 3),
    ("5.4.1", "OSU-Micro-Benchmarks-7.5.1-gompi-2025b", (), 19),
    ("5.4.1", "PyTorch-2.9.1-foss-2025b-CUDA-12.9.1", (), 88),
    ("4.9.4", "GROMACS-2024.1-foss-2023b", (), 40),
    ("4.9.4", "HPL-2.3-intel-2023b", (), 12),
]


@pytest.mark.parametrize(
    ("version", "name", "options", "runtime"), EASYCONFIGS, ids=[f"{row[0]}-{row[1]}" for row in EASYCONFIGS]
)
def test_released_easyconfig(
    version: str, name: str, options: tuple[str, ...], runtime: int, tmp_path: Path, rerecord: bool
) -> None:
    easybuild = EasyBuild(version, easybuild_home(version), tmp_path)
    # For the baseline, so that the host of the test plays no part.
    said = easybuild.eb(f"{name}.eb", "-D", "--robot", "--optarch=GENERIC", *options).stdout
    resolved = re.findall(r"^ \* \[.\] \S+ \(module: (\S+)\)$", said, re.MULTILINE)
    record = easybuild.record(name)
    assert sorted(entry["module"] for entry in record["modules"]) == sorted(resolved)
    assert sum(entry["runtime"] for entry in record["modules"]) == runtime

    annotations = json.loads((easybuild.output / name / "annotations.json").read_text("utf-8"))
    # The record's digest: it names the host's processor and system.
    del annotations["org.supercontainers.software.recipe.digest"]
    golden = HERE / "golden" / version / f"{name}.json"
    if rerecord:
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_text(json.dumps(annotations, indent=1) + "\n", "utf-8")
    assert annotations == json.loads(golden.read_text("utf-8")), (
        "if this is right: pytest --rerecord, then read the diff"
    )


def test_licences_of_the_table_are_spdx_expressions() -> None:
    licensing = pytest.importorskip("license_expression")
    from hpc3.tables import rows

    known = licensing.get_spdx_licensing()
    for row in rows("easybuild_licenses"):
        assert known.validate(row["spdx"]).errors == [], row
