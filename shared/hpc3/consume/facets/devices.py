"""Are the device files and CDI devices there that the image asks for?"""

from __future__ import annotations

from collections.abc import Iterator

from hpc3.fingerprint import Fingerprint

from ..evidence import host_side, image_sides
from ..image import Image
from ..verdict import Judgement, Verdict

FACET = "devices"
_KEY = "system.devices"


def check_devices(image: Image, host: Fingerprint) -> Iterator[Judgement]:
    """Yield one judgement."""
    wanted, evidence = image.values(_KEY), image_sides(image, _KEY)
    if not wanted:
        yield Judgement(FACET, Verdict.OK, "DEVICES_NONE", "The image asks for no device.", evidence)
    elif host.devices is None:
        reason = f"The host's devices are not known: {host.why_unknown('devices')}"
        yield Judgement(FACET, Verdict.UNKNOWN, "DEVICES_HOST_UNKNOWN", reason, evidence)
    else:
        there = (host_side("devices", host.devices),)
        missing = [name for name in wanted if not _is_there(name, host.devices)]
        if missing:
            reason = f"The host has no {', '.join(missing)}."
            yield Judgement(FACET, Verdict.FAILS, "DEVICES_MISSING", reason, evidence, there)
        else:
            yield Judgement(FACET, Verdict.OK, "DEVICES_OK", "All devices are there.", evidence, there)


def _is_there(name: str, devices: tuple[str, ...]) -> bool:
    # A fingerprint names a folder of devices (/dev/infiniband) rather than each file in it.
    return name in devices or any(name.startswith(f"{folder}/") for folder in devices)
