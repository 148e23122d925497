"""Device files and CDI names that images of HPC software ask for."""

from __future__ import annotations

from pathlib import Path

#: Patterns below ``/dev``; the folder counts as one device, as an image would name it.
DEVICES = ("cxi*", "dri", "fuse", "gdrdrv", "hfi1*", "infiniband", "kfd", "knem", "nvidia*", "xpmem")
#: Where engines look for CDI specifications (CDI specification 0.8, "Spec directories").
CDI_FOLDERS = ("etc/cdi", "var/run/cdi")
_MOST_BYTES = 4 * 2**20


def read_devices(root: Path) -> tuple[str, ...]:
    """Return device paths and CDI names (``nvidia.com/gpu=all``) that are there, sorted."""
    files = {f"/dev/{path.name}" for pattern in DEVICES for path in (root / "dev").glob(pattern)}
    return tuple(sorted(files | _cdi_names(root)))


def _cdi_names(root: Path) -> set[str]:
    specifications = (path for folder in CDI_FOLDERS for path in sorted((root / folder).glob("*")))
    return {name for path in specifications for name in _names_in(path)}


def _names_in(path: Path) -> set[str]:
    """Return the names that one CDI file defines; a file that cannot be read defines none, as engines skip it too."""
    import yaml  # JSON is YAML: one parser reads both kinds of file

    if path.suffix not in (".json", ".yaml", ".yml"):
        return set()
    try:
        if path.stat().st_size > _MOST_BYTES:
            return set()
        document = yaml.safe_load(path.read_text("utf-8"))
        return {f"{document['kind']}={device['name']}" for device in document["devices"]}
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return set()
