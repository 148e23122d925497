"""The command line as values: what argparse knows of every verb, for all that is written about it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hpc3 import __version__
from hpc3.cli.main import SUMMARY, VERBS, configure_verb

_PASSED_OVER = (argparse._HelpAction, argparse._SubParsersAction)


@dataclass(frozen=True)
class Argument:
    """One argument of a command.

    Attributes:
        flags: how an option is spelled, the short form first; empty for a positional argument.
        value: what stands for its value, such as ``FILE`` or ``json|text``; empty for a switch.
        what: what it is for; may be empty.
    """

    flags: tuple[str, ...]
    value: str
    what: str


@dataclass(frozen=True)
class Command:
    """One command: ``hpc3``, a verb, or an action of a verb.

    Attributes:
        name: as it is typed, such as ``hpc3 catalog add``.
        what: one line about it.
        synopsis: its arguments as a person types them; options that exclude each other stand together.
        arguments: in the order of ``--help``.
        epilogue: what ``--help`` says last; may be empty.
        commands: its own commands.
    """

    name: str
    what: str
    synopsis: tuple[str, ...]
    arguments: tuple[Argument, ...]
    epilogue: str
    commands: tuple[Command, ...]


def whole_parser() -> argparse.ArgumentParser:
    """Return one parser for all verbs; ``hpc3`` itself only ever makes that of the verb it runs."""
    parser = argparse.ArgumentParser(prog="hpc3", description=SUMMARY)
    parser.add_argument("--version", action="version", version=__version__, help="print the version and exit")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB")
    for name, what in VERBS.items():
        configure_verb(name, verbs.add_parser(name, help=what, description=what))
    return parser


def whole_command() -> Command:
    """Return ``hpc3`` with all its verbs."""
    return _command(whole_parser(), SUMMARY)


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield a parser and those of all its commands."""
    yield parser
    for below, _ in _parsers_below(parser):
        yield from parsers(below)


def _command(parser: argparse.ArgumentParser, what: str) -> Command:
    actions = [action for action in parser._actions if not isinstance(action, _PASSED_OVER)]
    return Command(
        name=parser.prog,
        what=what,
        synopsis=tuple(_synopsis(parser, actions)),
        arguments=tuple(_argument(parser, action) for action in actions),
        epilogue=parser.epilog or "",
        commands=tuple(_command(below, told) for below, told in _parsers_below(parser)),
    )


def _parsers_below(parser: argparse.ArgumentParser) -> Iterator[tuple[argparse.ArgumentParser, str]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            told = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, below in action.choices.items():
                yield below, told[name]


def _argument(parser: argparse.ArgumentParser, action: argparse.Action) -> Argument:
    return Argument(
        flags=tuple(action.option_strings),
        value=_value(action),
        what=(action.help or "") % {**vars(action), "prog": parser.prog},
    )


def _value(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    one = str(action.metavar or "|".join(map(str, action.choices or ())) or action.dest.upper())
    return {"?": f"[{one}]", "*": f"[{one}]…", "+": f"{one}…"}.get(str(action.nargs), one)


def _synopsis(parser: argparse.ArgumentParser, actions: Sequence[argparse.Action]) -> Iterator[str]:
    """Yield options, those that exclude each other as one, then positional arguments."""
    exclusive = {id(action): group for group in parser._mutually_exclusive_groups for action in group._group_actions}
    written: set[int] = set()
    for action in sorted(actions, key=lambda action: not action.option_strings):
        group = exclusive.get(id(action))
        form = _form(_argument(parser, action))
        if not action.option_strings or (action.required and group is None):
            yield form
        elif group is None:
            yield f"[{form}]{'…' if isinstance(action, argparse._AppendAction) else ''}"
        elif id(group) not in written:
            written.add(id(group))
            yield f"[{' | '.join(_form(_argument(parser, one)) for one in group._group_actions)}]"
    yield from (f"{action.metavar} …" for action in parser._actions if isinstance(action, argparse._SubParsersAction))


def _form(argument: Argument) -> str:
    return " ".join(filter(None, (*argument.flags[:1], argument.value)))
