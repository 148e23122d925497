"""Answers of HPCCM for the tests: documents as the question writes them, layer by layer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hpc3.facts import Facts
from hpc3.sources.hpccm_answer import Answer, parse_answer
from hpc3.sources.hpccm_facts import facts_from_answer

RECIPE = "recipe.py"
DIGEST = "sha256:" + "0" * 64


def layer(
    name: str, text: str = "", *, kind: str = "block", runtime: bool = False, **attributes: Any
) -> dict[str, Any]:
    return {"kind": kind, "name": name, "runtime": runtime, "attributes": attributes, "text": text}


def primitive(name: str, text: str = "", **attributes: Any) -> dict[str, Any]:
    return layer(name, text, kind="primitive", **attributes)


def base(image: str = "ubuntu:22.04", **attributes: Any) -> dict[str, Any]:
    return primitive("baseimage", f"FROM {image}", image=image, **attributes)


def application(options: str = "", **attributes: Any) -> dict[str, Any]:
    """A generic block that builds GROMACS 2025.3."""
    url = "https://ftp.gromacs.org/gromacs/gromacs-2025.3.tar.gz"
    return layer("generic_cmake", f"RUN cd build && {options} /var/tmp/gromacs", **{"url": url, **attributes})


def document(*stages: Sequence[dict[str, Any]], **changes: Any) -> bytes:
    whole = {
        "hpccm": "26.5.0",
        "architecture": "x86_64",
        "cpu_target": None,
        "dockerfile": "\n".join(layer["text"] for stage in stages for layer in stage),
        "definition": "",
        "included": [],
        "stages": list(stages),
    }
    return json.dumps({**whole, **changes}).encode("utf-8")


def answer(*stages: Sequence[dict[str, Any]], **changes: Any) -> Answer:
    return parse_answer(document(*stages, **changes), RECIPE)


def facts(*stages: Sequence[dict[str, Any]], picks: Sequence[str] = (), **changes: Any) -> Facts:
    return facts_from_answer(answer(*stages, **changes), RECIPE, DIGEST, picks)
