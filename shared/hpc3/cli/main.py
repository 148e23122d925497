"""Find the verb, run it, and turn every error into one line and an exit code."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence

from hpc3 import __version__
from hpc3.errors import Hpc3Error, printable

SUMMARY = "Say, truthfully, what is in an HPC container image."

#: Every verb and what it does; ``cli/<verb>.py`` (``-`` as ``_``) holds it.
VERBS: dict[str, str] = {
    "facts": "what a source states, with the evidence for it",
    "annotations": "the annotations of an image built from a source",
    "containerize": "a conformant, annotated Dockerfile or Apptainer definition",
    "sbom": "the software bill of materials of a source",
    "fingerprint": "what this host is, as far as containers care",
    "check": "does this image run on this host, and how well",
    "find": "which image of a software to take on this host, and why",
    "catalog": "what is known of many images, and what your site states of them",
    "tweak": "what an engine must be told so that an image uses this host",
    "export": "what an image states, in the formats of compspec, NFD and in-toto",
    "apply": "annotations, SBOM and recipe onto images that exist",
    "index": "one tag over the variants of an application",
    "inspect": "what is on an image, and where each value came from",
    "easybuild-hooks": "the path of the hooks file, for eb --hooks",
    "validate": "judge an image, a Dockerfile or annotations by the contract and the vocabulary",
    "verify": "compare annotations with the binaries in an image or a root file system",
}


TYPE_CHECKING = False  # what typing has under this name; importing it would take a sixth of the time of --help
if TYPE_CHECKING:
    from typing import Protocol

    class Verb(Protocol):
        """What a module ``cli/<verb>.py`` offers."""

        def configure(self, parser: argparse.ArgumentParser) -> None:
            """Add the verb's arguments to its parser."""

        def run(self, args: argparse.Namespace) -> int:
            """Do it and return the exit code."""


def run(argv: Sequence[str]) -> int:
    """Run one verb; errors become one line on stderr, never a traceback."""
    if not argv or argv[0] not in VERBS:
        parser = _top_parser()
        parser.parse_args(argv)
        parser.print_help()
        return 0 if argv else 2
    name = argv[0]
    verb_parser = argparse.ArgumentParser(prog=f"hpc3 {name}", description=f"{VERBS[name]}.")
    verb = configure_verb(name, verb_parser)
    return guarded(lambda: verb.run(verb_parser.parse_args(argv[1:])), complain)


def configure_verb(name: str, parser: argparse.ArgumentParser) -> Verb:
    """Add the arguments of a verb to its parser and return the verb's module."""
    verb: Verb = importlib.import_module(f"hpc3.cli.{name.replace('-', '_')}")
    parser.add_argument("--quiet", action="store_true", help="say nothing on stderr but errors")
    verb.configure(parser)
    return verb


def guarded(run_verb: Callable[[], int], complain: Callable[[str, int], int]) -> int:
    """Run a verb and return its exit code; ``complain(line, exit_code)`` is told of an error and returns the code."""
    try:
        code = run_verb()
        if sys.stdout is not None:
            sys.stdout.flush()  # a closed pipe shows here, not in the interpreter's last breath
    except Hpc3Error as error:
        return complain(str(error), error.exit_code)
    except BrokenPipeError:
        # The reader had enough: not an error. Python would still complain when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return complain("interrupted", 130)
    except OSError as error:
        return complain(printable(f"{error.filename or 'system'}: {error.strerror or error}"), 3)
    except RecursionError:
        return complain("the input is nested too deeply", 3)
    except MemoryError:
        return complain("the input does not fit into memory", 3)
    return code


def complain(line: str, exit_code: int) -> int:
    """Print one error line to stderr and return the exit code."""
    if sys.stderr is not None:  # print would take stdout instead
        print(f"hpc3: error: {line}", file=sys.stderr)
    return exit_code


def _top_parser() -> argparse.ArgumentParser:
    verbs = "\n".join(f"  {name:16} {what}" for name, what in VERBS.items())
    parser = argparse.ArgumentParser(
        prog="hpc3",
        usage="hpc3 VERB …",
        description=SUMMARY,
        epilog=f"verbs:\n{verbs}\n\n'hpc3 VERB --help' tells more.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"hpc3 {__version__}")
    parser.add_argument("verb", nargs="?", choices=list(VERBS), metavar="VERB", help=argparse.SUPPRESS)
    return parser
