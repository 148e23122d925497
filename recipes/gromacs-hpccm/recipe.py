"""GROMACS 2025.3 with Open MPI and CUDA, for x86_64_v3 and NVIDIA A100 and H100."""

import hpccm

CUDA = "12.6.3"
FFTW = "/usr/local/fftw"
GROMACS = "/usr/local/gromacs"
UCX = "/usr/local/ucx"

# What gnu() and llvm() hand on to the blocks that get their toolchain; --cpu-target on the command line wins.
hpccm.config.set_cpu_target(hpccm.config.g_cpu_target or "x86_64_v3")

Stage0 += baseimage(image=f"nvcr.io/nvidia/cuda:{CUDA}-devel-ubuntu22.04", _arch="x86_64", _as="build")
compilers = gnu(version="12")
Stage0 += compilers
Stage0 += cmake(eula=True, version="3.30.5")
Stage0 += packages(ospackages=["libibverbs-dev", "librdmacm-dev"])
Stage0 += ucx(version="1.17.0", prefix=UCX, cuda=True, ofed=True, toolchain=compilers.toolchain)
mpi = openmpi(version="4.1.6", ucx=UCX, infiniband=False, cuda=True, toolchain=compilers.toolchain)
Stage0 += mpi
Stage0 += fftw(
    version="3.3.10",
    prefix=FFTW,
    configure_opts=["--enable-float", "--enable-openmp", "--enable-shared", "--enable-sse2", "--enable-avx2"],
    toolchain=compilers.toolchain,
)

# The wrappers of the MPI, with the processor's flags.
wrappers = hpccm.toolchain(
    CC="mpicc", CXX="mpicxx", CFLAGS=compilers.toolchain.CFLAGS, CXXFLAGS=compilers.toolchain.CXXFLAGS
)
path = {"PATH": f"{GROMACS}/bin:$PATH"}
Stage0 += generic_cmake(
    url="https://ftp.gromacs.org/gromacs/gromacs-2025.3.tar.gz",
    prefix=GROMACS,
    cmake_opts=[
        "-D CMAKE_BUILD_TYPE=Release",
        '-D CMAKE_CUDA_ARCHITECTURES="80;90"',
        f"-D CMAKE_PREFIX_PATH={FFTW}",
        "-D GMX_GPU=CUDA",
        "-D GMX_MPI=ON",
        "-D GMX_OPENMP=ON",
        "-D GMX_SIMD=AVX2_256",
    ],
    devel_environment=path,
    runtime_environment=path,
    toolchain=wrappers,
)

Stage1 += baseimage(image=f"nvcr.io/nvidia/cuda:{CUDA}-runtime-ubuntu22.04", _arch="x86_64")
Stage1 += packages(ospackages=["ibverbs-providers", "librdmacm1"])
Stage1 += Stage0.runtime(_from="build")
Stage1 += label(
    metadata={
        "org.opencontainers.image.description": '"Molecular dynamics of proteins, lipids and nucleic acids"',
        "org.opencontainers.image.documentation": "https://manual.gromacs.org/2025.3/",
        "org.opencontainers.image.licenses": "LGPL-2.1-or-later",
        "org.opencontainers.image.title": "GROMACS",
    }
)
