"""From a record to facts: processor, MPI, fabrics, GPU, compiler, components."""

from __future__ import annotations

from typing import Any

import pytest
from packageurl import PackageURL

from hpc3.errors import InputError
from hpc3.facts import Facts, Known, Unknown
from hpc3.sources.easybuild_facts import facts_from_record, root_variable
from hpc3.sources.easybuild_target import target_of_flag
from unit.records import FOSS, MODULES, changed, module, record, record_document


def facts(modules: list[dict[str, Any]] | None = None, **fields: Any) -> Facts:
    return facts_from_record(record(record_document(modules, **fields)))


def value(fact: Any) -> Any:
    assert isinstance(fact, Known), fact
    assert fact.evidence
    return fact.value


@pytest.mark.parametrize(
    ("optarch", "target"),
    [
        ("GENERIC", "x86_64"),
        ("", "zen3"),
        ("march=native", "zen3"),
        ("-march=native", "zen3"),
        ("march=x86-64-v3 -mtune=generic", "x86_64_v3"),
        ("-march=znver3", "zen3"),
        ("march=skylake-avx512", "skylake_avx512"),
        ({"GCC": "march=znver2"}, "zen2"),
        ({"Intel": "xHost"}, "zen3"),
        ({"GCC": "GENERIC", "Intel": "xHost"}, "x86_64"),
    ],
)
def test_target_follows_optarch(optarch: Any, target: str) -> None:
    assert value(facts(optarch=optarch).target).name == target


@pytest.mark.parametrize("optarch", ["march=rubbish", "xSSE2", "O3"])
def test_target_that_archspec_does_not_know_is_unknown(optarch: str) -> None:
    target = facts(optarch=optarch).target
    assert isinstance(target, Unknown)
    assert optarch in target.reason


def test_target_of_the_host_is_unknown_without_archspec() -> None:
    document = record_document(optarch="")
    document["session"]["host"]["target"] = ""
    target = facts_from_record(record(document)).target
    assert isinstance(target, Unknown)
    assert "archspec" in target.reason


def test_easyconfig_can_overrule_optarch() -> None:
    own = {**FOSS, "options": {"optarch": "march=x86-64-v2"}}
    assert value(facts(changed("App", toolchain=own), optarch="").target).name == "zen3"  # OpenMPI is for the host
    off = {**FOSS, "options": {"optarch": False}}
    modules = [{**m, "toolchain": off} if not m["toolchain"]["system"] else m for m in MODULES]
    assert value(facts(modules, optarch="").target).name == "x86_64"


def test_installed_modules_count_with_what_they_were_built_for() -> None:
    built = {"optarch": "march=x86-64-v4", "target": "zen3", "evidence": "test report"}
    target = facts(changed("OpenMPI", installed=True, built=built)).target
    assert value(target).name == "x86_64_v4"
    assert any("test report" in str(evidence) for evidence in target.evidence)  # type: ignore[union-attr]


def test_installed_module_of_which_nothing_tells_makes_the_target_unknown() -> None:
    target = facts(changed("OpenMPI", installed=True)).target
    assert isinstance(target, Unknown)
    assert "OpenMPI/5.0.8" in target.reason


def test_build_only_modules_do_not_count() -> None:
    built = {"optarch": "march=x86-64-v4", "target": "zen3", "evidence": "hpc3.json"}
    assert value(facts(changed("CMake", installed=True, built=built, toolchain=FOSS)).target).name == "x86_64"


def test_processors_that_exclude_each_other_are_an_error() -> None:
    built = {"optarch": "", "target": "a64fx", "evidence": "hpc3.json"}
    with pytest.raises(InputError, match="no processor runs all of"):
        facts(changed("OpenMPI", installed=True, built=built), optarch="")


@pytest.mark.parametrize(
    ("flag", "target"), [("x86-64", "x86_64"), ("znver4", "zen4"), ("neoverse-v1", "neoverse_v1"), ("none-such", "")]
)
def test_names_of_compilers(flag: str, target: str) -> None:
    assert target_of_flag(flag) == target


def test_mpi_of_the_toolchain() -> None:
    mpi = value(facts().mpi)
    assert (mpi.implementation, mpi.version, mpi.abi_family, mpi.abi_version) == ("openmpi", "5.0.8", "openmpi", "40")
    assert mpi.pmi == ("pmix_v5",)
    assert mpi.portability == "hybrid"


def test_mpi_without_pmix_says_nothing_of_pmi() -> None:
    mpi = value(facts([m for m in changed("OpenMPI", dependencies=[]) if m["name"] != "PMIx"]).mpi)
    assert mpi.pmi is None
    assert mpi.portability == ""


def test_mpi_of_a_system_toolchain_is_found_in_the_closure() -> None:
    assert (
        value(facts([module("foss", "2025b", "MPICH/4.3.2", sources=[]), module("MPICH", "4.3.2")]).mpi).version
        == "4.3.2"
    )


def test_no_mpi() -> None:
    assert value(facts([module("App", "1.0")]).mpi).implementation == "none"
    assert value(facts([module("App", "1.0")]).fabric).frameworks == ()


def test_two_mpis_are_an_error() -> None:
    with pytest.raises(InputError, match=r"two MPIs in one closure: MPICH 4\.3\.2 and OpenMPI 5\.0\.8"):
        facts([*MODULES, module("MPICH", "4.3.2")])


@pytest.mark.parametrize(("usempi", "implementation"), [(True, "openmpi"), (False, "threadmpi")])
def test_gromacs_runs_threads_where_mpi_is_off(usempi: bool, implementation: str) -> None:
    toolchain = {**FOSS, "options": {"usempi": usempi}}
    modules = [module("GROMACS", "2025.4", "OpenMPI/5.0.8", toolchain=toolchain), *MODULES[2:]]
    assert value(facts(modules).mpi).implementation == implementation


def test_compiler_suite_is_an_mpi_only_where_the_toolchain_says_so() -> None:
    suite = module("NVHPC", "25.3")
    with_it = {**FOSS, "compiler_modules": ["NVHPC"], "mpi_modules": ["NVHPC"]}
    without = {**with_it, "mpi_modules": []}
    assert value(facts([module("App", "1", "NVHPC/25.3", toolchain=with_it), suite]).mpi).version == ""
    assert value(facts([module("App", "1", "NVHPC/25.3", toolchain=without), suite]).mpi).implementation == "none"


def test_external_module_provides_mpi() -> None:
    edge = {
        "module": "cray-mpich/8.1.30",
        "types": ["run"],
        "toolchain": False,
        "external": {"prefix": "/opt/cray", "provides": [{"name": "cray-mpich", "version": "8.1.30"}]},
    }
    found = facts([module("App", "1.0", dependencies=[edge])])
    assert value(found.mpi).external
    assert value(found.mpi).implementation == "cray-mpich"
    external = found.components["cray-mpich/8.1.30"].external
    assert external is not None
    assert external.path == "/opt/cray"


def test_wrapped_mpi_is_external() -> None:
    assert value(facts(changed("OpenMPI", wrapper=True, sources=[])).mpi).external


def test_fabrics_are_what_the_mpi_was_built_with() -> None:
    fabric = value(facts().fabric)
    assert fabric.frameworks == ("ucx",)
    assert fabric.ucx == "1.19.0"


def test_gpu_architectures_are_those_of_the_software_itself() -> None:
    cuda = module("CUDA", "12.9.1")
    nccl = module("NCCL", "2.27.7", "CUDA/12.9.1", cuda_compute_capabilities=["7.0"])
    app = module("App", "1.0", "CUDA/12.9.1", "NCCL/2.27.7", cuda_compute_capabilities=["9.0a", "8.0"])
    gpu = value(facts([app, cuda, nccl]).gpu)
    assert (gpu.vendors, gpu.runtimes, gpu.cuda) == (("nvidia",), ("cuda",), "12.9.1")
    assert gpu.architectures == ("sm_80", "sm_90a")
    assert gpu.driver_min
    unset = {**app, "cuda_compute_capabilities": []}
    assert value(facts([unset, cuda, nccl]).gpu).architectures == ()


def test_two_cudas_are_unknown() -> None:
    assert isinstance(facts([module("A", "1"), module("CUDA", "12.9.1"), module("CUDA", "11.8")]).gpu, Unknown)


def test_compiler_of_the_toolchain() -> None:
    compiler = value(facts().compiler)
    assert (compiler.name, compiler.version, compiler.toolchain) == ("gcc", "14.3.0", "foss-2025b")
    assert isinstance(facts([module("App", "1.0")]).compiler, Unknown)


@pytest.mark.parametrize(
    ("class_", "name", "purl"),
    [
        ("PythonPackage", "Ruamel_Yaml", "pkg:pypi/ruamel-yaml@1"),
        ("RPackage", "ggplot2", "pkg:cran/ggplot2@1"),
        ("PerlModule", "Module::Build", "pkg:cpan/Module-Build@1"),
        ("ConfigureMake", "thing", ""),
    ],
)
def test_extensions_carry_package_urls(class_: str, name: str, purl: str) -> None:
    extension = {"name": name, "version": "1", "class": class_, "source_urls": [], "sha256": "2" * 64}
    component = facts(changed("App", extensions=[extension])).components[f"App/1.0::{name}@1"]
    assert component.purl == purl
    assert component.metadata.source_sha256 == "2" * 64
    if purl:
        PackageURL.from_string(purl)


def test_parts_that_are_built_only_where_the_system_has_none_are_not_claimed() -> None:
    part = {"name": "OpenSSL", "version": "3.5.7", "sources": []}
    openssl = module("OpenSSL", "3", easyblock="EB_OpenSSL_wrapper", sources=[], parts=[part])
    bundle = {**openssl, "easyblock": "Bundle"}
    app = module("App", "1.0", "OpenSSL/3")
    assert set(facts([app, openssl]).components) == {"App/1.0", "OpenSSL/3"}
    assert set(facts([app, bundle]).components) == {"App/1.0", "OpenSSL/3", "OpenSSL/3::OpenSSL@3.5.7"}


def test_licences() -> None:
    assert value(facts(changed("App", license="LicenseGPLv3")).license) == "GPL-3.0-only"
    assert isinstance(facts().license, Unknown)
    assert value(facts([module("GROMACS", "2025.4")]).license) == "LGPL-2.1-or-later"


@pytest.mark.parametrize(
    ("name", "variable"),
    [("OpenMPI", "EBROOTOPENMPI"), ("UCX-CUDA", "EBROOTUCXMINCUDA"), ("C++.x", "EBROOTCPLUSPLUSX")],
)
def test_variable_of_a_prefix(name: str, variable: str) -> None:
    assert root_variable(name) == variable
