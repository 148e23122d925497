"""Write the website: into a new folder that takes the old one's place when it is whole."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from hpc3.errors import InputError
from hpc3.fingerprint import Fingerprint
from hpc3.tables import DATA

from ..attached_sbom import SbomEntry
from ..check import check_image
from ..image import Image
from .pages import image_page, index_page, list_data, page_name, plain_list_page

_ASSETS = ("app.js", "style.css")
SbomOf = Callable[[str], Sequence[SbomEntry]]

#: Marks a folder as ours: another one is never replaced.
_MARK = ".hpc3-site"


def _no_sbom(_: str) -> Sequence[SbomEntry]:
    return ()


def build_site(images: Iterable[Image], hosts: Sequence[Fingerprint], target: Path, sbom_of: SbomOf = _no_sbom) -> int:
    """Write the website of ``images`` and return how many there are.

    Args:
        images: what it shows.
        hosts: what it says verdicts for; each has a name.
        target: the folder; it is made, or replaced where an earlier run made it.
        sbom_of: digest to the components that the image's SBOM lists.

    Raises:
        InputError: the folder exists and is something else, or cannot be written.
    """
    if target.exists() and not (target / _MARK).exists() and any(target.iterdir()):
        raise InputError("is a folder with other files", where=str(target), remedy="name a new folder")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where=str(target)) from error
    try:
        count = _write(sorted(images, key=lambda image: (image.title, image.digest)), hosts, new, sbom_of)
        new.chmod(0o755)
        if target.exists():
            shutil.rmtree(target)
        new.rename(target)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    return count


def _write(images: Sequence[Image], hosts: Sequence[Fingerprint], folder: Path, sbom_of: SbomOf) -> int:
    (folder / "images").mkdir()
    verdicts = []
    for image in images:
        reports = [check_image(image, host) for host in hosts]
        verdicts.append([report.verdict.value for report in reports])
        page = image_page(image, reports, sbom_of(image.digest))
        (folder / "images" / f"{page_name(image)}.html").write_text(page, "utf-8")
    (folder / "index.html").write_text(index_page(hosts), "utf-8")
    (folder / "all.html").write_text(plain_list_page(images), "utf-8")
    (folder / "images.js").write_text(list_data(images, verdicts, hosts), "utf-8")
    for name in _ASSETS:
        shutil.copyfile(DATA / "site" / name, folder / name)
    (folder / _MARK).write_text("written by hpc3 catalog site\n", "utf-8")
    return len(images)
