"""``hpc3 validate``: does it behave, and is it well-formed?"""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
import sys
from dataclasses import replace
from pathlib import Path

from hpc3.cli.output import talk, write_product
from hpc3.consume.finding import Finding, explain, explain_all
from hpc3.consume.report import FORMATS, report
from hpc3.consume.subject import INPUT_LIMIT, Subject, subject_from_json
from hpc3.consume.unchecked import unchecked
from hpc3.consume.validate import is_rejected, validate_subject
from hpc3.errors import InputError, UsageError

from .given import image_given, path_given, telling_how_read
from .images import access_from, configure_access

_ENGINES = ("podman", "docker", "buildah", "apptainer", "singularity")

_TOLD_APART = (
    "what is there decides: a file is read as JSON where its name ends in .json, as a Dockerfile where its name holds "
    "Dockerfile or Containerfile or its text has a FROM, else as JSON; pipes are files, too. A folder with an OCI "
    "layout is oci:FOLDER. Anything else is an image, but not what starts with /, ./ or ../, ends in .json or .yaml, "
    "or is called Dockerfile: that is a file which is missing. Of an index every image is judged, or those for "
    "--platform. A Dockerfile must carry, as labels, the mandatory keys that neither the base image nor the build "
    "states: HPC202 names those that are missing, and --explain tells what a code means"
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument(
        "subject",
        nargs="?",
        metavar="IMAGE|FILE",
        help="an image, a Dockerfile, annotations (JSON), an OCI image configuration",
    )
    parser.add_argument("--format", choices=FORMATS, default="text", help="default: text")
    parser.add_argument("--strict", action="store_true", help="warnings reject, too")
    parser.add_argument(
        "--explain",
        metavar="CODE",
        help="tell what findings mean (101, HPC101,HPC203; all: a page about every one), and end",
    )
    parser.add_argument("--run", metavar="NAME", help="also start the local image NAME in every way that users do")
    parser.add_argument(
        "--engine",
        default="",
        metavar="COMMAND",
        help=f"that --run uses, with options (default: {', '.join(_ENGINES)}; ch-run too)",
    )
    parser.add_argument("--base", default="", metavar="IMAGE", help="what it was built on, where it does not say so")
    parser.add_argument("--platform", default="", metavar="OS/ARCH", help="of an index, only these images")
    parser.add_argument("-o", "--output", default="", metavar="FILE", help="write there instead of stdout")
    configure_access(parser)
    parser.epilog = _TOLD_APART


def run(args: argparse.Namespace) -> int:
    """Judge the subject and return 1 where it is rejected."""
    if args.explain is not None:
        write_product(explain_all() if args.explain == "all" else explain(args.explain), args.output)
        return 0
    if not args.subject:
        raise UsageError("there is nothing to judge", remedy="give an image or a file")
    subjects = _subjects(args)
    findings = tuple(found for subject in subjects for found in validate_subject(subject))
    if args.run:
        findings = (*findings, *_started(args.run, args.engine, subjects[0]))
    skipped = frozenset.intersection(*(unchecked(subject, started=bool(args.run)) for subject in subjects))
    text = report(findings, args.subject, args.format, strict=args.strict, unchecked=skipped)
    write_product(text, args.output)
    talk("rejected" if is_rejected(findings, strict=args.strict) else "accepted", quiet=args.quiet)
    sys.stderr.flush()
    return 1 if is_rejected(findings, strict=args.strict) else 0


def _subjects(args: argparse.Namespace) -> tuple[Subject, ...]:
    path = path_given(args.subject)
    if path is None or path.is_dir():
        return _subjects_of_images(args, image_given(args.subject, path))
    if args.platform or args.base:
        raise UsageError("--platform and --base are for images", where=args.subject)
    return (_subject_of_file(args, path),)


def _subject_of_file(args: argparse.Namespace, path: Path) -> Subject:
    with path.open("rb") as stream:  # a pipe, too
        data = stream.read(INPUT_LIMIT + 1)
    if len(data) > INPUT_LIMIT:
        raise InputError(f"is larger than {INPUT_LIMIT >> 20} MiB", where=args.subject)
    if _looks_like_dockerfile(path, data):
        from hpc3.consume.dockerfile import subject_from_dockerfile

        return subject_from_dockerfile(data.decode("utf-8", "replace"), args.subject)
    return replace(subject_from_json(data, args.subject), name=args.subject)


def _subjects_of_images(args: argparse.Namespace, image: str) -> tuple[Subject, ...]:
    from hpc3.oci.opening import Stores
    from hpc3.oci.reference import parse_reference

    from .subjects import subjects_on_base

    with Stores(access_from(args)) as stores, telling_how_read(image):
        return subjects_on_base(stores, parse_reference(image), args.platform, args.base)


def _looks_like_dockerfile(path: Path, data: bytes) -> bool:
    if path.suffix.lower() == ".json":  # Dockerfile.annotations.json: what hpc3 writes beside a Dockerfile
        return False
    named = re.search(r"(dockerfile|containerfile)", path.name, re.IGNORECASE)
    return bool(named) or bool(
        re.search(rb"(?im)^(?:\xef\xbb\xbf)?\s*FROM\s+\S", data) and not data.lstrip().startswith(b"{")
    )


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise UsageError(f"--engine is no command: {error}", remedy="close the quotes, as for a shell") from error


def _started(image: str, engine: str, subject: Subject) -> tuple[Finding, ...]:
    from hpc3.consume.container_engines import open_engine
    from hpc3.consume.start_modes import check_start_modes

    command = _words(engine) or [name for name in _ENGINES if shutil.which(name)][:1]
    if not command:
        raise UsageError(f"no engine is here ({', '.join(_ENGINES)})", remedy="install one, or leave --run out")
    with open_engine(command, image) as opened:
        return tuple(check_start_modes(opened, subject))
