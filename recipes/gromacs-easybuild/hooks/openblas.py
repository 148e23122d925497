"""OpenBLAS with kernels for every processor: else it is built for the one that builds, whatever --optarch says."""


def parse_hook(ec, *args, **kwargs):
    if ec.name == "OpenBLAS":
        for step in ("buildopts", "testopts", "installopts"):
            ec[step] += " DYNAMIC_ARCH=1"
