"""The name of a document is that of the standard library, from the document's own text."""

from __future__ import annotations

import json
import uuid

from hypothesis import given
from hypothesis import strategies as st

from hpc3.sbom.document import sealed_text


@given(st.text(st.characters(codec="utf-8")))
def test_name_is_the_uuid_of_everything_else(text: str) -> None:
    sealed = sealed_text({"name": "", "text": text}, "name", "urn:uuid:")
    name = json.loads(sealed)["name"]
    unsealed = sealed.replace(name, "", 1)
    assert name == f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, unsealed)}"
