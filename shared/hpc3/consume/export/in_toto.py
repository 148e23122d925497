"""in-toto: a statement about an image's digest that GUAC, Grafeas and policy engines take in."""

from __future__ import annotations

import json

from hpc3.errors import InputError

from ..image import Image

#: A name of our own: no body has registered a predicate for what an image needs of its host.
PREDICATE_TYPE = "urn:org.supercontainers:annotations:v1"
_STATEMENT = "https://in-toto.io/Statement/v1"


def in_toto_statement(image: Image) -> str:
    """Return an in-toto Statement (v1) whose predicate holds every statement with the place it was read from.

    Raises:
        InputError: the image's digest is not known; a statement about nothing would mislead.
    """
    algorithm, _, digest = image.digest.partition(":")
    if not digest:
        raise InputError("has no digest, and a statement needs one", remedy="give what 'hpc3 inspect' prints")
    document = {
        "_type": _STATEMENT,
        "subject": [{"name": image.reference or image.title, "digest": {algorithm: digest}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "annotations": {name: statement.value for name, statement in image.statements.items()},
            "provenance": {name: statement.place for name, statement in image.statements.items()},
        },
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
