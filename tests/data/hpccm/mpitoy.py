"""A small MPI program, built and run on Debian 12: what HPCCM does without the internet."""

import hpccm

# Debian builds psm2, which its Open MPI loads, for processors with AVX.
hpccm.config.set_cpu_target("x86_64_v3")

Stage0 += baseimage(image="debian:12", _arch="x86_64", _as="build", _distro="ubuntu22")
compilers = gnu(cxx=False, fortran=False)
Stage0 += compilers
Stage0 += packages(ospackages=["libc6-dev", "libopenmpi-dev"])
Stage0 += generic_build(
    package="mpitoy-1.0.tar.gz",
    prefix="/opt/mpitoy",
    build=[f"mpicc {compilers.toolchain.CFLAGS} -o mpitoy mpitoy.c"],
    install=["mkdir -p /opt/mpitoy/bin", "cp mpitoy /opt/mpitoy/bin/"],
    runtime_environment={"PATH": "/opt/mpitoy/bin:$PATH", "MPITOY_GREETING": "'it\"s me'"},
)
Stage1 += baseimage(image="debian:12", _arch="x86_64", _distro="ubuntu22")
Stage1 += packages(ospackages=["openmpi-bin"])
Stage1 += Stage0.runtime(_from="build")
Stage1 += user(user="1234")
# What no building block tells: Debian's build of Open MPI.
Stage1 += label(
    metadata={
        "org.opencontainers.image.licenses": "MIT",
        "org.supercontainers.communication.framework": "libfabric,shm,tcp,ucx",
        "org.supercontainers.compiler.name": "gcc",
        "org.supercontainers.compiler.version": "12.2.0",
        "org.supercontainers.mpi.abi.family": "openmpi",
        "org.supercontainers.mpi.abi.version": "40",
        "org.supercontainers.mpi.pmi": "pmix_v4",
        "org.supercontainers.mpi.portability.mode": "hybrid",
        "org.supercontainers.mpi.version": "4.1.4",
    }
)
