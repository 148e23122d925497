"""Which images a recipe starts from, and whether they are the system that the software was concretized for."""

from __future__ import annotations

from dataclasses import dataclass

from hpc3.errors import InputError
from hpc3.facts import Facts, Unknown
from hpc3.request import Images
from hpc3.systems import system_of_image
from hpc3.tables import Row, rows

_TWO_WAYS_OUT = (
    "change the images under container:images in spack.yaml, or use --concretize-in-build, "
    "which concretizes for the image's system in the build"
)


@dataclass(frozen=True)
class BaseImages:
    """The images of the two stages and the system they are expected to be.

    Attributes:
        build: image of the build stage.
        final: image of the final stage.
        system: row of the table of operating systems; None where neither lock nor images name one that it has.
    """

    build: str
    final: str
    system: Row | None


def choose_base_images(facts: Facts, images: Images, *, follow_lock: bool) -> BaseImages:
    """Return the images that a recipe starts from: those that were asked for, else those of the lock's own system.

    Args:
        facts: what the lock states; its system decides where no image is named.
        images: what ``container:images`` asks for.
        follow_lock: whether the image must be the system that the lock was concretized for.

    Raises:
        InputError: the images are another system than the lock's, or no image is known for it.
    """
    lock_system = _system_of_lock(facts)
    build, final = _named_images(images, lock_system)
    systems = [system for system in (system_of_image(build), system_of_image(final)) if system is not None]
    of_lock = {component.os for component in facts.runtime().values()}
    for image, system in zip((build, final), (system_of_image(build), system_of_image(final))):
        if follow_lock and system is not None and of_lock != {system["os"]}:
            names = " and ".join(sorted(of_lock))
            raise InputError(
                f"the lock was concretized for {names}, but the image {image} is {system['os']}",
                where="spack.lock",
                remedy=_TWO_WAYS_OUT,
            )
    return BaseImages(build, final, (lock_system if follow_lock else None) or (systems[0] if systems else lock_system))


def _system_of_lock(facts: Facts) -> Row | None:
    if isinstance(facts.os, Unknown):
        return None
    system = facts.os.value
    return next(
        (
            row
            for row in rows("operating_systems")
            if (row["vendor"], row["version"]) == (system.vendor, system.version)
        ),
        None,
    )


def _named_images(images: Images, lock_system: Row | None) -> tuple[str, str]:
    if images.build:
        return images.build, images.final
    if images.os:
        row = system_of_image(images.os)
        if row is None:
            known = ", ".join(sorted({name for row in rows("operating_systems") for name in row["images"]}))
            raise InputError(
                f"is {images.os!r}; known are {known}",
                where="spack.yaml: spack.container.images.os",
                remedy="name any other image with images:build and images:final",
            )
        return row["image"], row["image"]
    if lock_system is None:
        raise InputError(
            "no base image is known for the lock's operating system",
            where="spack.lock",
            remedy="name the images in spack.yaml: container:images:build and final",
        )
    return lock_system["image"], lock_system["image"]
