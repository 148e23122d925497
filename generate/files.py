"""Every generated file of the repository."""

from __future__ import annotations

from collections.abc import Mapping

from .commands import whole_command
from .completions import completion
from .manual import manual_page
from .pages import reference_pages

#: Where shells look below ``/usr`` or ``sys.prefix``.
_COMPLETIONS = {
    "bash": "share/bash-completion/completions/hpc3",
    "fish": "share/fish/vendor_completions.d/hpc3.fish",
    "zsh": "share/zsh/site-functions/_hpc3",
}


def generated_files() -> Mapping[str, str]:
    """Return the text of each file by its path in the repository."""
    command = whole_command()
    pages = {f"docs/{path}": text for path, text in reference_pages(command).items()}
    completions = {path: completion(shell) for shell, path in _COMPLETIONS.items()}
    return {**pages, **completions, "share/man/man1/hpc3.1": manual_page(command)}
