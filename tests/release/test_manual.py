"""The manual page, read by mandoc and groff."""

from __future__ import annotations

import subprocess

import peers
from hpc3.cli.main import VERBS
from oci.oci_peers import need

PAGE = peers.REPOSITORY / "share/man/man1/hpc3.1"
#: A page that is compared to the byte has no date of its own.
DATELESS = 'WARNING: missing date, using "": TH'


def test_mandoc_finds_nothing_wrong() -> None:
    need("mandoc")  # it does not say its version
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", PAGE], capture_output=True, text=True, check=False)
    assert [line for line in (done.stdout + done.stderr).splitlines() if DATELESS not in line] == []


def test_it_needs_no_encoding() -> None:
    assert PAGE.read_text("utf-8").isascii()


def test_groff_finds_nothing_wrong_and_shows_every_verb() -> None:
    peers.need_program("groff")
    command = ["groff", "-ww", "-man", "-Tutf8", "-P-bcou", PAGE]  # without bold and underlined letters
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stderr == ""
    assert [verb for verb in VERBS if f"\n   hpc3 {verb}\n" not in done.stdout] == []
