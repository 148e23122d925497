"""The catalog: what is known of many images, and what a site states of images that it cannot change.

One SQLite file. Images are kept by digest, tags only as hints to it; what a site states (``external``) is kept apart
from what an image states, so that a new scan never loses it. A catalog is shared as text (`Catalog.lines`), never as
a database file: reading a foreign database would trust more than its content.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from hpc3.errors import InputError, printable
from hpc3.vocabulary import vocabulary

from .attached_sbom import SbomEntry
from .image import PLACES, Image, image_of, overruled

#: Version of the tables and of the text form.
VERSION = 1
_APPLICATION = 0x68706333  # "hpc3" in the file's header: file(1) and we can tell it from any other database
_WAIT_SECONDS = 5.0
_TABLES = """
CREATE TABLE image (
    digest TEXT PRIMARY KEY, reference TEXT NOT NULL, software TEXT NOT NULL, document TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE external (digest TEXT, key TEXT, value TEXT NOT NULL, PRIMARY KEY (digest, key)) WITHOUT ROWID;
CREATE TABLE tag (reference TEXT PRIMARY KEY, digest TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX image_software ON image (software);
"""
# A catalog of an earlier release has none: nothing else is different.
_SBOM_TABLE = "CREATE TABLE IF NOT EXISTS sbom (digest TEXT PRIMARY KEY, entries TEXT NOT NULL) WITHOUT ROWID"


class Catalog:
    """An open catalog; a context manager that keeps what was written when it is left without an error.

    Args:
        path: the file.
        create: whether to make it where it does not exist.

    Raises:
        InputError: there is no such file, or it is no catalog of this version.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self._path = path
        if not create and not path.is_file():
            raise InputError("there is no such catalog", where=str(path), remedy="make one: hpc3 catalog build")
        if create:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, timeout=_WAIT_SECONDS)
        try:
            self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Catalog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.save()
        finally:
            self._connection.close()

    def save(self) -> None:
        """Keep what was written so far, whatever happens next.

        Raises:
            InputError: the file cannot be written, or is locked.
        """
        try:
            self._connection.commit()
        except sqlite3.Error as error:
            raise self._fault(error) from error

    def put_image(self, image: Image) -> None:
        """Keep what an image states; what the site states of it stays."""
        external = self.external(image.digest)
        seen = overruled(image, external) if external else image
        row = (image.digest, image.reference, seen.value("software.name"), _document(image))
        self._run("INSERT OR REPLACE INTO image VALUES (?, ?, ?, ?)", row)

    def put_tag(self, reference: str, digest: str) -> None:
        """Remember which digest a name meant."""
        self._run("INSERT OR REPLACE INTO tag VALUES (?, ?)", (reference, digest))

    def digest_of_tag(self, reference: str) -> str:
        """Return the digest that a name meant when it was last scanned; empty where it never was."""
        found = self._run("SELECT digest FROM tag WHERE reference = ?", (reference,)).fetchone()
        return str(found[0]) if found else ""

    def put_external(self, digest: str, values: Mapping[str, str], reference: str = "") -> None:
        """Keep what the site states of an image; the image need not have been scanned.

        Raises:
            InputError: a key is not of the vocabulary, or a value is ill-formed; nothing is kept then.
        """
        for name, value in values.items():
            known = vocabulary().get(name)
            fault = known.fault(value) if known else "is no key of the vocabulary"
            if fault:
                raise InputError(f"{printable(name)}: {fault}", where=digest)
        rows = ((digest, name, value) for name, value in sorted(values.items()))
        for row in rows:
            self._run("INSERT OR REPLACE INTO external VALUES (?, ?, ?)", row)
        self.put_image(self.image(digest) or image_of({}, reference, digest))

    def put_sbom(self, digest: str, entries: Iterable[SbomEntry]) -> None:
        """Keep the components of an image that its SBOM lists."""
        listed = json.dumps([[entry.name, entry.version, entry.license] for entry in entries], ensure_ascii=False)
        self._run("INSERT OR REPLACE INTO sbom VALUES (?, ?)", (digest, listed))

    def sbom(self, digest: str) -> tuple[SbomEntry, ...]:
        """Return the components of an image that its SBOM lists; ``()`` where no SBOM was read.

        Raises:
            InputError: the catalog is damaged.
        """
        row = self._run("SELECT entries FROM sbom WHERE digest = ?", (digest,)).fetchone()
        return _entries(_json(row[0], f"{self._path}: {digest}"), f"{self._path}: {digest}") if row else ()

    def external(self, digest: str) -> dict[str, str]:
        """Return what the site states of an image."""
        return dict(self._run("SELECT key, value FROM external WHERE digest = ? ORDER BY key", (digest,)).fetchall())

    def image(self, digest: str) -> Image | None:
        """Return what an image itself states; None where the catalog does not know it."""
        row = self._run("SELECT document FROM image WHERE digest = ?", (digest,)).fetchone()
        return self._image(row[0], digest) if row else None

    def images_of(self, software: str) -> tuple[Image, ...]:
        """Return all images of a software, as the site sees them, by digest."""
        rows = self._run(
            "SELECT digest, document FROM image WHERE software = ? ORDER BY digest", (software,)
        ).fetchall()
        return tuple(self._seen(digest, document) for digest, document in rows)

    def images(self) -> Iterator[Image]:
        """Yield all images, as the site sees them, by digest."""
        for digest, document in self._run("SELECT digest, document FROM image ORDER BY digest", ()):
            yield self._seen(digest, document)

    def digests(self) -> frozenset[str]:
        """Return the digests of all images that were read; an image that only the site speaks of was not."""
        rows = self._run("""SELECT digest FROM image WHERE instr(document, '"places"') > 0""", ())
        return frozenset(str(digest) for (digest,) in rows)

    def digests_with_sbom(self) -> frozenset[str]:
        """Return the digests of all images whose SBOM was read."""
        return frozenset(str(digest) for (digest,) in self._run("SELECT digest FROM sbom", ()))

    def count(self) -> int:
        """Return how many images the catalog knows."""
        return int(self._run("SELECT count(*) FROM image", ()).fetchone()[0])

    def lines(self) -> Iterator[str]:
        """Yield the catalog as text, a JSON object a line, sorted: equal catalogs give equal text."""
        yield json.dumps({"schema": f"hpc3.catalog/{VERSION}"}) + "\n"
        for digest, document in self._run("SELECT digest, document FROM image ORDER BY digest", ()):
            external = self.external(digest)
            said: dict[str, object] = {"external": external} if external else {}
            if entries := self.sbom(digest):
                said["sbom"] = [[entry.name, entry.version, entry.license] for entry in entries]
            yield json.dumps({**json.loads(document), **said}, sort_keys=True, ensure_ascii=False) + "\n"

    def put_lines(self, lines: Iterable[str], where: str) -> int:
        """Take in another catalog's text and return how many images it held; what is here already is overwritten.

        Raises:
            InputError: a line is not what it should be; nothing of the text is kept then.
        """
        count = 0
        try:
            for number, line in enumerate(lines, 1):
                at = f"{where}:{number}"
                document = _parsed(line, at)
                if number == 1:
                    _check_schema(document, at)
                    continue
                image = _restored(document, at)
                self.put_image(image)
                external = document.get("external")
                if external:
                    self.put_external(image.digest, _texts(external, at), image.reference)
                if "sbom" in document:
                    self.put_sbom(image.digest, _entries(document["sbom"], at))
                count += 1
        except InputError:
            self._connection.rollback()
            raise
        return count

    def _seen(self, digest: str, document: str) -> Image:
        image, external = self._image(document, digest), self.external(digest)
        return overruled(image, external) if external else image

    def _image(self, document: str, digest: str) -> Image:
        where = f"{self._path}: {digest}"
        return _restored(_parsed(document, where), where)

    def _run(self, statement: str, values: tuple[str, ...]) -> sqlite3.Cursor:
        try:
            return self._connection.execute(statement, values)
        except sqlite3.Error as error:
            raise self._fault(error) from error

    def _prepare(self) -> None:
        try:
            (application,) = self._connection.execute("PRAGMA application_id").fetchone()
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
            (tables,) = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if tables == 0:
                self._connection.executescript(
                    f"BEGIN; {_TABLES} {_SBOM_TABLE};"
                    f" PRAGMA application_id = {_APPLICATION}; PRAGMA user_version = {VERSION}; COMMIT;"
                )
        except sqlite3.Error as error:
            raise self._fault(error) from error
        if tables == 0:
            return
        if application != _APPLICATION:
            raise InputError("is a database, but no catalog", where=str(self._path))
        if version != VERSION:
            raise InputError(f"is a catalog of version {version}; this program reads {VERSION}", where=str(self._path))
        self._run(_SBOM_TABLE, ())

    def _fault(self, error: sqlite3.Error) -> InputError:
        if "locked" in str(error):
            return InputError("is locked by another program", where=str(self._path), remedy="try again when it is done")
        return InputError(
            f"cannot be used as a catalog: {error}", where=str(self._path), remedy="build it anew, or pull it"
        )


def _document(image: Image) -> str:
    places: dict[str, dict[str, str]] = {}
    for name, statement in image.statements.items():
        if statement.place not in ("external", "inferred"):
            places.setdefault(statement.place, {})[name] = statement.value
    document = {
        "architecture": image.architecture,
        "digest": image.digest,
        "environment": dict(image.environment),
        "labels": dict(image.labels),
        "places": places,
        "reference": image.reference,
        "size": image.size,
    }
    return json.dumps({name: value for name, value in document.items() if value}, sort_keys=True, ensure_ascii=False)


def _restored(document: Mapping[str, Any], where: str) -> Image:
    digest, size = document.get("digest"), document.get("size")
    if not isinstance(digest, str) or not digest:
        raise InputError("is an image without a digest", where=where)
    places = document.get("places") or {}
    if not isinstance(places, dict):
        raise InputError("places is not an object", where=where)
    return image_of(
        {place: _texts(values, where) for place, values in places.items() if place in PLACES},
        _text(document.get("reference", ""), where),
        digest,
        _text(document.get("architecture", ""), where),
        _texts(document.get("environment") or {}, where),
        _texts(document.get("labels") or {}, where),
        size if isinstance(size, int) else None,
    )


def _check_schema(document: Mapping[str, Any], where: str) -> None:
    if document.get("schema") != f"hpc3.catalog/{VERSION}":
        raise InputError(f"is not a catalog: schema is not hpc3.catalog/{VERSION}", where=where)


def _entries(value: object, where: str) -> tuple[SbomEntry, ...]:
    if not isinstance(value, list) or not all(isinstance(entry, list) and len(entry) == 3 for entry in value):
        raise InputError("its SBOM is not a list of name, version and license", where=where)
    return tuple(SbomEntry(*(_text(part, where) for part in entry)) for entry in value)


def _parsed(line: str, where: str) -> Mapping[str, Any]:
    document = _json(line, where)
    if not isinstance(document, dict):
        raise InputError("is not an object", where=where)
    return document


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(f"is not JSON: {error}", where=where) from error


def _texts(value: object, where: str) -> dict[str, str]:
    if not isinstance(value, dict):
        raise InputError("is not an object of texts", where=where)
    return {name: _text(entry, where) for name, entry in value.items()}


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise InputError("is not a text", where=where)
    return value
