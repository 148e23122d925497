"""The commands that Spack gets: ``spack containerize --annotate`` and ``spack hpc3 VERB``.

Both are hpc3's own verbs with Spack as the reader of environments. Errors look like Spack's, one line, and keep hpc3's
exit codes; what Spack itself raises is left to Spack. Nothing heavy is imported here: Spack loads this for the help of
all its commands.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable
from functools import partial

from .compat import tty

#: Verbs of hpc3 that Spack offers too: those that read an environment.
_VERBS = ("facts", "annotations", "containerize", "sbom")

#: Stands for the environment that is meant, where no SOURCE is given.
_ENVIRONMENT = object()


def configure_containerize(parser: argparse.ArgumentParser) -> None:
    """Add ``--annotate`` and what goes with it to the parser of Spack's ``containerize``."""
    parser.add_argument(
        "--annotate",
        action="store_true",
        help="write a conformant, annotated recipe from spack.lock (hpc3); the options below go with it",
    )
    _add_annotate_options(parser)


def _add_annotate_options(parser: argparse.ArgumentParser) -> None:
    from hpc3.cli.recipe_arguments import add_recipe_arguments
    from hpc3.cli.source_arguments import add_product_arguments

    add_product_arguments(parser)
    add_recipe_arguments(parser)
    _add_concretize(parser)


def _given_options(args: argparse.Namespace) -> list[str]:
    """Return which of the options that go with ``--annotate`` are on a command line."""
    parser = argparse.ArgumentParser(add_help=False)
    _add_annotate_options(parser)
    defaults = vars(parser.parse_args([]))
    return [f"--{name.replace('_', '-')}" for name, default in defaults.items() if getattr(args, name) != default]


def run_containerize(args: argparse.Namespace, run_own: Callable[[], int | None]) -> int | None:
    """Run ``spack containerize``: Spack's own, or with ``--annotate`` ours."""
    if not args.annotate:
        given = ", ".join(_given_options(args))
        return _complain(f"{given}: only with --annotate", 2) if given else run_own()
    if args.list_os or args.last_stage != "final":
        return _complain("--list-os and --last-stage are Spack's own: they do not go with --annotate", 2)
    args.source, args.quiet = _ENVIRONMENT, False
    return _run("containerize", args)


def configure_hpc3(parser: argparse.ArgumentParser) -> None:
    """Add the verbs of ``spack hpc3``."""
    from hpc3.cli.main import VERBS

    verbs = parser.add_subparsers(metavar="VERB", dest="hpc3_verb", required=True)
    for name in _VERBS:
        verb = verbs.add_parser(name, help=VERBS[name], description=f"{VERBS[name]}.")
        verb.add_argument("--quiet", action="store_true", help="say nothing on stderr but errors")
        verb.set_defaults(source=_ENVIRONMENT)
        importlib.import_module(f"hpc3.cli.{name}").configure(verb)
        _add_concretize(verb)
    what = "what of hpc3 is wired into this Spack, what is not, and how to mend it"
    verbs.add_parser("doctor", help=what, description=f"{what}.")


def run_hpc3(args: argparse.Namespace) -> int:
    """Run ``spack hpc3 VERB``."""
    if args.hpc3_verb == "doctor":
        from .doctor import print_diagnosis

        return print_diagnosis()
    return _run(args.hpc3_verb, args)


def _add_concretize(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--concretize",
        action="store_true",
        help="concretize first, for a lock that is missing or older than spack.yaml",
    )


def _run(verb: str, args: argparse.Namespace) -> int:
    from hpc3.cli.main import guarded

    from . import adapter

    def run_verb() -> int:
        if args.source is _ENVIRONMENT:
            args.source = adapter.environment_folder()
        if args.concretize:
            adapter.concretize(args.source)
        args.read_source = partial(adapter.read_with_spack, quiet=args.quiet)
        code: int = importlib.import_module(f"hpc3.cli.{verb}").run(args)
        return code

    return guarded(run_verb, _complain)


def _complain(line: str, exit_code: int) -> int:
    tty().error(line)
    return exit_code
