"""May what the image says be believed? Contradictions, ill-formed values, guesses, and keys that steer runtimes."""

from __future__ import annotations

from collections.abc import Iterator

from hpc3.errors import printable
from hpc3.fingerprint import Fingerprint
from hpc3.vocabulary import PREFIX, is_reserved

from ..image import Image
from ..verdict import Judgement, Side, Verdict

FACET = "metadata"


def check_metadata(image: Image, host: Fingerprint) -> Iterator[Judgement]:
    """Yield what is wrong with the statements themselves; one judgement where nothing is."""
    del host  # every facet is asked with both
    found = [*_contradictions(image), *_ill_formed(image), *_guesses(image), *_reserved(image)]
    yield from found
    if not found:
        places = sorted({statement.place for statement in image.statements.values()})
        reason = f"The statements agree; read from {', '.join(places) or 'nowhere'}."
        yield Judgement(FACET, Verdict.OK, "METADATA_OK", reason)


def _contradictions(image: Image) -> Iterator[Judgement]:
    for contradiction in image.contradictions:
        sides = tuple(Side(contradiction.subject, printable(text, 200)) for text in contradiction.said)
        reason = f"The image contradicts itself: {printable(str(contradiction), 300)}."
        yield Judgement(FACET, Verdict.DEGRADED, "METADATA_CONTRADICTION", reason, sides)


def _ill_formed(image: Image) -> Iterator[Judgement]:
    for name, fault in sorted(image.ill_formed.items()):
        reason = f"{name} was not used: {fault}."
        yield Judgement(
            FACET, Verdict.DEGRADED, "METADATA_ILL_FORMED", reason, (Side(name, ""),), (), "hpc3 validate IMAGE"
        )


def _guesses(image: Image) -> Iterator[Judgement]:
    guessed = [name for name, s in image.statements.items() if s.place == "inferred" and name.startswith(PREFIX)]
    if guessed:
        names = ", ".join(name[len(PREFIX) :] for name in guessed)
        reason = f"Nobody annotated {names}: taken from the image's environment, labels or tag."
        sides = tuple(Side(name, image.statements[name].value, "inferred") for name in guessed)
        yield Judgement(
            FACET, Verdict.DEGRADED, "METADATA_INFERRED", reason, sides, (), "hpc3 apply IMAGE --from SOURCE"
        )


def _reserved(image: Image) -> Iterator[Judgement]:
    names = sorted(name for name in image.labels if is_reserved(name))
    if names:
        reason = f"The image carries labels that steer runtimes: {printable(', '.join(names), 200)}."
        yield Judgement(
            FACET, Verdict.DEGRADED, "METADATA_RESERVED", reason, tuple(Side(n, "", "label") for n in names)
        )
