"""The engines by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hpc3.fingerprint import Fingerprint

from ..image import Image
from .apptainer import configure_apptainer
from .charliecloud import configure_charliecloud
from .configuration import Configuration
from .edf import configure_edf
from .enroot import configure_enroot
from .podman import configure_podman
from .podman_hpc import configure_podman_hpc
from .sarus import configure_sarus
from .shifter import configure_shifter
from .wiring import Wiring, wiring_of

ENGINES: Mapping[str, Callable[[Wiring], Configuration]] = {
    "apptainer": configure_apptainer,
    "charliecloud": configure_charliecloud,
    "edf": configure_edf,
    "enroot": configure_enroot,
    "podman": configure_podman,
    "podman-hpc": configure_podman_hpc,
    "sarus": configure_sarus,
    "shifter": configure_shifter,
}


def configuration_for(image: Image, host: Fingerprint, engine: str) -> Configuration:
    """Return what ``engine`` is told so that ``image`` uses ``host``.

    Raises:
        KeyError: there is no such engine; `ENGINES` lists them.
    """
    return ENGINES[engine](wiring_of(image, host))
