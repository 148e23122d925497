from spack.package import *


class MpiHello(MakefilePackage):
    """A program that says hello from each MPI rank."""

    homepage = "https://example.org/mpi-hello"
    url = "file:///opt/spack-environment/mpi-hello-1.0.tar.gz"
    license("MIT")

    version("1.0", sha256="4388894a798d53ba28cb27344f1cf3a3b5452e2cc8dbf59458797242de6cc168")
    depends_on("c", type="build")
    depends_on("mpi")

    def edit(self, spec, prefix):
        env["MPICC"] = spec["mpi"].mpicc
        env["prefix"] = prefix
