"""What a recipe decides, and what it does not."""

from __future__ import annotations

from typing import Any

import pytest

from hpc3.annotations import annotations_for
from hpc3.facts import Compiler, CpuTarget, Known, OperatingSystem, Software, Unknown
from hpc3.targets import features
from hpc3.vocabulary import OCI_PREFIX, key
from unit.conftest import Refused
from unit.hpccm_answers import application, base, facts, layer, primitive

ZEN3 = "CC=gcc CFLAGS='-march=znver3 -mtune=znver3' cmake"
CUDA = "nvcr.io/nvidia/cuda:12.6.3-devel-ubuntu22.04"


def value(fact: Any) -> Any:
    assert isinstance(fact, Known), fact
    assert all(str(evidence) for evidence in fact.evidence)
    assert fact.evidence
    return fact.value


def reason(fact: Any) -> str:
    assert isinstance(fact, Unknown), fact
    return fact.reason


@pytest.mark.parametrize(
    ("attributes", "software"),
    [
        ({}, ("gromacs", "2025.3")),
        ({"url": "https://github.com/gromacs/gromacs/archive/v2018.2.tar.gz"}, ("gromacs", "2018.2")),
        ({"url": "https://gitlab.com/QEF/q-e/-/archive/qe-7.2/q-e-qe-7.2.tar.gz"}, ("q-e", "7.2")),
        ({"url": None, "package": "mpitoy-1.0.tgz"}, ("mpitoy", "1.0")),
        ({"url": None, "repository": "https://github.com/lattice/quda.git", "branch": "v0.8.0"}, ("quda", "0.8.0")),
        ({"url": None, "repository": "https://github.com/lattice/quda", "commit": "0123abc"}, ("quda", "0123abc")),
        ({"url": None, "repository": "https://github.com/lattice/quda", "branch": "develop"}, ("quda", "develop")),
        ({"url": None, "repository": "https://github.com/lattice/quda"}, ("quda", "")),
        ({"base_annotation": "LAMMPS", "annotations": {"version": "2024.8"}}, ("lammps", "2024.8")),
    ],
)
def test_software_is_what_the_generic_block_builds(attributes: dict[str, Any], software: tuple[str, str]) -> None:
    found = facts([base(), application(**attributes)])
    assert value(found.software) == Software(*software)


def test_several_applications_need_a_pick(refused: Refused) -> None:
    stage = [base(), application(), application(url="https://x.org/plumed-2.9.0.tar.gz")]
    assert "pick the image's software with --root" in reason(facts(stage).software)
    assert value(facts(stage, picks=["plumed"]).software) == Software("plumed", "2.9.0")
    assert value(facts(stage, picks=["plumed@2.9.0"]).software).name == "plumed"
    with refused("no generic block builds lammps", "gromacs@2025.3, plumed@2.9.0"):
        facts(stage, picks=["lammps"])


def test_recipe_of_libraries_alone_has_no_application() -> None:
    assert "names what it builds" in reason(facts([base(), layer("openmpi", version="4.1.6")]).software)


def test_software_whose_archive_has_no_version_is_not_named() -> None:
    assert "names what it builds" in reason(facts([base(), application(url="https://x.org/latest.tar.gz")]).software)


def test_target_is_that_of_the_flags() -> None:
    found = facts([base(), application(ZEN3)], cpu_target="zen3")
    assert value(found.target) == CpuTarget("zen3", False, "x86_64", features("zen3"))


@pytest.mark.parametrize(
    ("options", "changes", "said"),
    [
        (ZEN3, {}, "sets no CPU target"),
        ("CC=mpicc cmake", {"cpu_target": "zen3"}, "is not given its flags"),
        (ZEN3, {"cpu_target": "zen2"}, "has znver3"),
        ("CFLAGS=-march=native cmake", {"cpu_target": "zen3"}, "has native"),
        (ZEN3, {"cpu_target": "zen3", "architecture": "aarch64"}, "is for aarch64"),
        (ZEN3, {"cpu_target": "pentium9"}, "archspec does not know"),
    ],
)
def test_target_that_is_not_sure_is_unknown(options: str, changes: dict[str, str], said: str) -> None:
    assert said in reason(facts([base(), application(options)], **changes).target)


def test_another_block_may_not_need_more() -> None:
    mpi = layer("openmpi", "CFLAGS='-march=znver4' ./configure", version="4.1.6", runtime=True)
    stages = [base(), mpi, application(ZEN3, runtime=True)], [base()]
    assert "Stage0[1] (openmpi) has znver4" in reason(facts(*stages, cpu_target="zen3").target)
    assert (
        value(facts([base(), {**mpi, "runtime": False}, stages[0][2]], [base()], cpu_target="zen3").target).name
        == "zen3"
    )


def test_compiler_is_that_of_the_toolchain() -> None:
    gnu, llvm = layer("gnu", version="12"), layer("llvm", version="17")
    mpi = layer("openmpi", " CC=clang ./configure ", version="4.1.6")
    assert value(facts([base(), gnu, application()]).compiler) == Compiler("gcc", "12")
    assert value(facts([base(), gnu, llvm, application(" CC=gcc cmake")]).compiler) == Compiler("gcc", "12")
    assert value(facts([base(), gnu, llvm, mpi, application(" CC=mpicc cmake")]).compiler) == Compiler("llvm", "17")


def test_compiler_that_is_not_sure_is_unknown() -> None:
    assert "it is the distribution's gcc" in reason(facts([base(), layer("gnu"), application()]).compiler)
    assert "no building block is the compiler" in reason(facts([base(), application()]).compiler)
    nvhpc = layer("nvhpc", version="25.11")
    assert "no building block is the compiler" in reason(facts([base(), nvhpc, application()]).compiler)


def test_mpi_of_a_block() -> None:
    text = "RUN ./configure --prefix=/x --with-cuda --with-ucx=/usr/local/ucx --without-verbs && make"
    mpi = layer("openmpi", text, version="4.1.6", url="https://x.org/openmpi-4.1.6.tar.bz2")
    found = facts([base(CUDA), layer("ucx", version="1.15.0"), mpi, application("-D GMX_MPI=ON")])
    linked = value(found.mpi)
    assert (linked.implementation, linked.version, linked.abi_version) == ("openmpi", "4.1.6", "40")
    assert (linked.pmi, linked.gpu_aware, linked.portability) == (("pmix",), ("cuda",), "hybrid")
    assert value(found.fabric).frameworks == ("ucx",)
    assert value(found.fabric).ucx == "1.15.0"


def test_version_of_another_archive_is_not_known() -> None:
    mpi = layer("openmpi", version="4.0.5", url="https://x.org/nightly.tar.bz2")
    found = facts([base(), mpi, application("-D GMX_MPI=ON")])
    assert value(found.mpi).version == ""
    assert key("software.dependencies") in annotations_for(found).values


def test_pmi_of_mpich_is_what_configure_takes_by_itself() -> None:
    mpich = layer("mpich", "./configure --prefix=/x", version="4.0.3")
    assert value(facts([base(), mpich, application("-D GMX_MPI=ON")]).mpi).pmi == ("pmi1",)


def test_gromacs_without_mpi_runs_threads() -> None:
    stage = [base(), layer("openmpi", version="4.1.6"), application("-D GMX_GPU=OFF")]
    assert value(facts(stage).mpi).implementation == "threadmpi"


def test_two_mpis_are_refused(refused: Refused) -> None:
    with refused("two MPIs"):
        facts([base(), layer("openmpi", version="4"), layer("mpich", version="4"), application("-D GMX_MPI=ON")])


def test_mpi_of_the_operating_system() -> None:
    packages = layer("packages", ospackages=["openmpi-bin"])
    linked = value(facts([base(), packages, application("-DGMX_MPI=on")]).mpi)
    assert (linked.implementation, linked.version, linked.pmi) == ("openmpi", "", None)


OPENED = [
    primitive("shell", "RUN curl x | sh"),
    primitive("copy", "COPY x /", src="x"),
    layer("pip", "RUN pip install mpich"),
    layer("packages", "RUN apt-get", ospackages=["openfoam"]),
    layer("my_block", "RUN x"),
    layer("str", "RUN x", kind="text"),
]


@pytest.mark.parametrize("opened", OPENED, ids=lambda layer: layer["name"])
def test_nothing_is_denied_where_anything_may_be_brought(opened: dict[str, Any]) -> None:
    lammps = application(url="https://x.org/lammps-2024.tar.gz")
    found = facts([base(), opened, lammps])
    assert "may bring an MPI" in reason(found.mpi)
    assert "may bring an MPI" in reason(found.fabric)
    assert "may bring a GPU runtime" in reason(found.gpu)


def test_nothing_is_denied_of_a_base_image_that_nobody_knows() -> None:
    lammps = application(url="https://x.org/lammps-2024.tar.gz")
    assert "the base image site/base:ubuntu22.04" in reason(facts([base("site/base:ubuntu22.04"), lammps]).mpi)


def test_what_holds_nothing_of_the_kind_has_none() -> None:
    lammps = application(url="https://x.org/lammps-2024.tar.gz")
    harmless = [primitive("comment", "# x"), layer("packages", ospackages=["make"]), layer("gnu"), layer("fftw")]
    found = facts([base(), *harmless, lammps])
    assert value(found.mpi).implementation == "none"
    assert value(found.gpu).vendors == ()


def test_mpi_that_stays_in_an_earlier_stage() -> None:
    lammps = application(url="https://x.org/lammps-2024.tar.gz", runtime=True)
    found = facts([base(), layer("openmpi", version="4.1.6"), {**lammps, "runtime": True}], [base()])
    assert "openmpi@4.1.6 is in an earlier stage" in reason(found.mpi)


def test_gpu_of_the_base_image() -> None:
    found = facts([base(CUDA), application('-D CMAKE_CUDA_ARCHITECTURES="80;90-real;100-virtual"')])
    gpu = value(found.gpu)
    assert (gpu.vendors, gpu.runtimes, gpu.cuda) == (("nvidia",), ("cuda",), "12.6.3")
    assert gpu.architectures == ("sm_80", "sm_90")
    assert gpu.driver_min == "525.60.13"


def test_gpu_that_is_not_sure_is_unknown() -> None:
    assert "is for GPUs" in reason(facts([base(), layer("nccl", version="2.21.5"), application()]).gpu)
    left = facts([base(CUDA), application(runtime=True)], [base()])
    assert "cuda@12.6.3 is in an earlier stage" in reason(left.gpu)


def test_system_is_that_of_the_last_base_image() -> None:
    assert value(facts([base(CUDA)], [base("rockylinux:9")]).os) == OperatingSystem("rocky", "9")
    assert "does not tell its system" in reason(facts([base("site/base")]).os)


def test_only_what_reaches_the_image_is_of_its_closure() -> None:
    built = [
        base(),
        layer("gnu", version="12", runtime=True),
        layer("cmake", version="3.30"),
        layer("fftw", version="3.3.10", runtime=True),
    ]
    found = facts([*built, application(runtime=True)], [base()])
    assert sorted(found.runtime()) == ["fftw@3.3.10", "gromacs@2025.3"]
    assert sorted(found.components) == ["cmake@3.30", "fftw@3.3.10", "gcc@12", "gromacs@2025.3"]


def test_a_stage_from_a_stage_has_all_of_it() -> None:
    first = [base("debian:12", **{"as": "build"}), layer("fftw", version="3.3.10"), application()]
    found = facts(first, [base("build")])
    assert sorted(found.runtime()) == ["fftw@3.3.10", "gromacs@2025.3"]
    assert value(found.os) == OperatingSystem("debian", "12")


@pytest.mark.parametrize("source", ["/usr/local/gromacs", ["/etc/x", "/usr/local/gromacs/"], "/usr/local"])
def test_what_is_copied_by_hand_is_in_the_image(source: Any) -> None:
    copy = primitive("copy", "COPY --from=build", src=source, **{"from": "build"})
    fftw = layer("fftw", version="3.3.10", prefix="/opt/fftw")
    found = facts([base(), fftw, application(prefix="/usr/local/gromacs")], [base(), copy])
    assert sorted(found.runtime()) == ["gromacs@2025.3"]


def test_label_of_a_build_argument_is_not_stated() -> None:
    assert facts([base(), application(), primitive("label", metadata={"a": "$VERSION", "b": "c"})]).stated == {"b": "c"}


def test_labels_are_stated() -> None:
    quoted = {OCI_PREFIX + "description": '"two words"', OCI_PREFIX + "licenses": "MIT"}
    found = facts([base(), application(), primitive("label", metadata=quoted)])
    assert found.stated == {OCI_PREFIX + "description": "two words", OCI_PREFIX + "licenses": "MIT"}
    assert annotations_for(found).values[OCI_PREFIX + "licenses"] == "MIT"


def test_label_that_contradicts_the_blocks_is_refused(refused: Refused) -> None:
    mpi = layer("openmpi", version="4.1.6")
    label = primitive("label", metadata={key("mpi.version"): "5.0.8"})
    with refused("mpi.version", "5.0.8", "4.1.6"):
        annotations_for(facts([base(), mpi, application("-DGMX_MPI=ON"), label]))
