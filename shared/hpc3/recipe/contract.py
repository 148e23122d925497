"""The contract that every image keeps: it behaves as a login node does, whatever starts it.

Measured on podman, buildah, Charliecloud and by reading the others: the environment must stand in the image's own
environment (engines bypass entrypoints and login files) *and* in ``/etc/profile.d`` (a login shell's ``/etc/profile``
resets PATH); there is no entrypoint, so that ``IMAGE COMMAND`` is the command; without one there is a login shell.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from hpc3.behaviour import RECIPE_PROFILE
from hpc3.request import EnvironmentChange

from .plan import Write

#: What ``CMD`` starts where no command is given.
LOGIN_SHELL = ("/bin/bash", "-l")

#: Documents about the image, in the image.
DOCUMENTS_PATH = "/usr/share/hpc3"

#: PATH where a base image states none, as the runtimes set it then.
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#: NVIDIA's container toolkit and Enroot's hook inject the driver only where the image asks for it:
#: https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/docker-specialized.html
NVIDIA_ENVIRONMENT = (
    EnvironmentChange("set", "NVIDIA_VISIBLE_DEVICES", "all"),
    EnvironmentChange("set", "NVIDIA_DRIVER_CAPABILITIES", "compute,utility"),
)


def merged_environment(changes: Iterable[EnvironmentChange]) -> tuple[EnvironmentChange, ...]:
    """Return the changes with one entry per variable, sorted by name, so that they can be written at once.

    Later entries of a list come first, as prepending leaves them; a variable that is set and then extended is set.
    """
    merged: dict[str, EnvironmentChange] = {}
    for change in changes:
        before = merged.get(change.name)
        if change.action == "set" or before is None:
            merged[change.name] = change
            continue
        present = before.value.split(before.separator)
        added = [entry for entry in change.value.split(change.separator) if entry not in present]
        value = before.separator.join([*added, before.value])
        merged[change.name] = EnvironmentChange(before.action, change.name, value, before.separator)
    return tuple(merged[name] for name in sorted(merged))


def profile_script(environment: Iterable[EnvironmentChange]) -> Write:
    """Return the script that gives a login shell the same environment; harmless when it is read twice."""
    lines = [
        "# The environment of this image's software for login shells, whose /etc/profile resets it.",
        "# POSIX sh; reading it twice changes nothing; needs neither HOME nor USER, and writes nothing.",
    ]
    for change in environment:
        lines.extend(_set_lines(change) if change.action == "set" else _prepend_lines(change))
    return Write(
        "Login shells get the same environment",
        RECIPE_PROFILE,
        ("\n".join(lines) + "\n").encode("utf-8"),
        lint=("SC2016",),  # the variables are for the login shell, not for the build's
    )


def _set_lines(change: EnvironmentChange) -> list[str]:
    return [f"export {change.name}={shlex.quote(change.value)}"]


def _prepend_lines(change: EnvironmentChange) -> list[str]:
    name, separator = change.name, shlex.quote(change.separator)
    lines = []
    # The last entry is prepended first, so that the order is that of the value.
    for entry in reversed(change.value.split(change.separator)):
        quoted = shlex.quote(entry)
        lines.append(
            f"case {separator}${{{name}-}}{separator} in *{separator}{quoted}{separator}*) ;; "
            f"*) {name}={quoted}${{{name}:+{separator}${name}}} ;; esac"
        )
    return [*lines, f"export {name}"]
