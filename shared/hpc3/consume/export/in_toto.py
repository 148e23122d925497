"""in-toto: a statement about an image's digest, to be signed and then judged by policy engines.

Signed (cosign, DSSE) it is what Grafeas keeps as the envelope of an occurrence. GUAC recognizes it (``ITE6_GENERIC``),
but reads predicates that it knows alone: for GUAC there is `hpc3.consume.export.cyclonedx`.
"""

from __future__ import annotations

import json

from hpc3.errors import InputError

from ..image import Image

#: A name of our own: no body has registered a predicate for what an image needs of its host. What follows ``urn:`` may
#: have no dot (RFC 8141, NID).
PREDICATE_TYPE = "urn:hpc3:annotations:v1"
_STATEMENT = "https://in-toto.io/Statement/v1"


def in_toto_statement(image: Image) -> str:
    """Return an in-toto Statement (v1) whose predicate holds every statement with the place it was read from.

    Source: https://github.com/in-toto/attestation/blob/v1.1.0/spec/v1/statement.md

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
