"""``hpc3 facts SOURCE``: what a source states, with the evidence for it."""

from __future__ import annotations

import argparse
import json

from hpc3.sources.facts_document import facts_document

from .output import write_product
from .source_arguments import add_source_arguments, source_from_arguments


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    add_source_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print the facts as JSON."""
    document = facts_document(source_from_arguments(args).facts)
    write_product(json.dumps(document, indent=1, ensure_ascii=False) + "\n", args.output)
    return 0
