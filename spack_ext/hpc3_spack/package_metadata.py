"""What the packages of a lock say of themselves: licence, source, and the environment that they need to run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import spack.build_environment
import spack.deptypes
import spack.fetch_strategy
import spack.paths
import spack.repo
import spack.store
import spack.traverse
import spack.user_environment
import spack.util.environment
from spack.context import Context

from hpc3.facts import PackageMetadata
from hpc3.recipe.spack_steps import STORE_PATH, VIEW_PATH
from hpc3.request import ENVIRONMENT_PATH, EnvironmentChange, GitSource
from hpc3.sources.spack_metadata import SpackMetadata

from .compat import spack_version, tty
from .environment_changes import changes_from_modifications
from .licenses import joined_expressions
from .packages_repository import repository_at

_RUNTIME = spack.deptypes.LINK | spack.deptypes.RUN

_DESCRIPTION_LIMIT = 500

_ASK_AGAIN = "when that is mended, delete hpc3-metadata.json and Spack is asked again"


@dataclass(frozen=True)
class Answer:
    """What Spack knows of a lock, and what it could not tell: one line each."""

    metadata: SpackMetadata
    warnings: tuple[str, ...]


def ask_spack(roots: Sequence[Any], lock_digest: str) -> Answer:
    """Ask Spack for what a lock does not hold.

    Args:
        roots: concrete specs of the lock; their environment must be active, for its own package repositories.
        lock_digest: digest of the lock.
    """
    packages: dict[str, PackageMetadata] = {}
    unknown: list[str] = []
    for spec in spack.traverse.traverse_nodes(roots, key=spack.traverse.by_dag_hash):
        try:
            packages[spec.dag_hash()] = _metadata_of(spec)
        except spack.repo.UnknownEntityError:
            unknown.append(spec.name)
    repository, complaint = _packages_source()
    environments: dict[str, tuple[EnvironmentChange, ...]] = {}
    silent: list[str] = []
    if not unknown:
        environments = {root.dag_hash(): _environment_of(root, silent) for root in roots}
    warnings = [complaint]
    if unknown:
        warnings.append(
            f"Spack's repositories do not have {_listed(unknown)}: nothing is known of these packages, nor of the "
            f"environment that the software needs; {_ASK_AGAIN}"
        )
    if silent:
        warnings.append(
            f"{_listed(silent)} must be installed here to tell what environment it needs: left out; {_ASK_AGAIN}"
        )
    metadata = SpackMetadata(lock_digest, packages, repository, environments)
    return Answer(metadata, tuple(warning for warning in warnings if warning))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(set(names)))


def _packages_source() -> tuple[GitSource, str]:
    """Up to Spack 0.23 the packages are part of Spack, whose commit stands in the lock."""
    if spack_version().startswith("0."):
        return GitSource(), ""
    found = repository_at(Path(spack.repo.PATH.get_repo("builtin").root))
    return found.source, found.warning


def _metadata_of(spec: Any) -> PackageMetadata:
    package_class = spack.repo.PATH.get_pkg_class(spec.fullname)
    url, sha256 = _source_of(spec) if not spec.external else ("", "")
    licenses: Mapping[Any, str] = getattr(package_class, "licenses", {})
    return PackageMetadata(
        license=joined_expressions(text for when, text in licenses.items() if spec.satisfies(when)),
        homepage=_one_line(str(getattr(package_class, "homepage", None) or "")),
        description=_first_paragraph(package_class.__doc__ or ""),
        source_url=url,
        source_sha256=sha256,
    )


def _one_line(text: str) -> str:
    return re.sub(r"[\s\x00-\x1f\x7f]+", " ", text).strip()


def _first_paragraph(text: str) -> str:
    paragraph = _one_line(re.split(r"\n\s*\n", text.strip(), maxsplit=1)[0])
    return paragraph if len(paragraph) <= _DESCRIPTION_LIMIT else paragraph[: _DESCRIPTION_LIMIT - 1] + "…"


def _source_of(spec: Any) -> tuple[str, str]:
    """Return where the source comes from and its SHA-256; empty where the package does not say."""
    try:
        fetcher = spack.fetch_strategy.for_package_version(spec.package)
    except Exception as fault:  # a package's own code: no two raise the same where a version has no source
        tty().debug(f"hpc3: {spec.name}: no source: {fault}")
        return "", ""
    url = _public_source(str(getattr(fetcher, "url", None) or ""))
    digest = str(getattr(fetcher, "digest", None) or "").lower()
    if isinstance(fetcher, spack.fetch_strategy.GitFetchStrategy) and url:
        refs = [getattr(fetcher, name, None) for name in ("commit", "tag", "branch")]
        url = "@".join([f"git+{url}", *[str(ref) for ref in refs if ref][:1]])
    return url, digest if re.fullmatch(r"[0-9a-f]{64}", digest) else ""


def _public_source(url: str) -> str:
    """Return a source's URL without credentials; empty for a path of this host."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return url if parts.path.startswith(f"{ENVIRONMENT_PATH}/") else ""
    if not parts.scheme or not parts.netloc:
        return ""
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _environment_of(root: Any, silent: list[str]) -> tuple[EnvironmentChange, ...]:
    """Return what ``spack env activate`` would do for a root that is installed in the image, with its view.

    Packages that cannot tell are added to ``silent``.

    Not `spack.user_environment.environment_modifications_for_specs`: that gives up where one package cannot be asked,
    as Python when it is not installed here; and it looks which folders there are on this host.
    """
    modifications = spack.user_environment.unconditional_environment_modifications(_ImageView())
    modifications.extend(_modifications_of_packages(root, silent))
    changes = changes_from_modifications(modifications.env_modifications, _image_path(root))
    host = (str(spack.paths.prefix), str(spack.store.STORE.root))
    of_this_host = [change.name for change in changes if any(path in change.value for path in host)]
    silent.extend(of_this_host)
    return tuple(change for change in changes if change.name not in of_this_host)


class _ImageView:
    """The view in the image, as far as Spack asks a view."""

    root = VIEW_PATH


def _modifications_of_packages(root: Any, silent: list[str]) -> Any:
    """The loop of `SetupContext.get_env_modifications` for a run environment, one package after the other."""
    context = spack.build_environment.SetupContext(root, context=Context.RUN)
    try:
        context.set_all_package_py_globals()
    except Exception as fault:  # a package's own code, which may look for files that are not installed here
        tty().debug(f"hpc3: not all globals of packages are set: {fault}")
    everything = spack.util.environment.EnvironmentModifications()
    for spec, flag in chain(context.external, context.nonexternal):
        if not context.should_setup_run_env & flag or (_is_python(spec) and not _is_here(spec)):
            continue
        own = spack.util.environment.EnvironmentModifications()
        if spec.external and not spack.util.environment.is_system_path(spec.prefix):
            own.extend(_inspected(spec))
        try:
            for dependent in spec.dependents(deptype=_RUNTIME):
                if id(dependent) in context.nodes_in_subdag:
                    spec.package.setup_dependent_run_environment(own, dependent)
            spec.package.setup_run_environment(own)
        except Exception as fault:  # as above
            tty().debug(f"hpc3: {spec.name}: no environment: {type(fault).__name__}: {fault}")
            silent.append(spec.name)
            continue
        everything.extend(own)
    for folder in _python_folders(context):
        everything.prepend_path("PYTHONPATH", folder)
    return everything


def _inspected(spec: Any) -> Any:
    """Folders of an external outside of the system's: the lock names its prefix, so the image has it there too."""
    inspections = spack.user_environment.prefix_inspections(spec.platform)
    return spack.util.environment.inspect_path(spec.prefix, inspections)


def _is_python(spec: Any) -> bool:
    return spec.name in ("python", "python-venv")


def _is_here(spec: Any) -> bool:
    return Path(spec.prefix).is_dir()


def _python_folders(context: Any) -> list[str]:
    """Return where the view has Python's packages, if the Python is not installed here.

    Python's recipe asks the interpreter; one that Spack built answers this (``purelib`` in the recipe).
    """
    specs = [spec for spec, _ in context.nonexternal]
    has_packages = any(getattr(type(spec.package), "extendees", {}) for spec in specs if not _is_python(spec))
    return [
        f"{VIEW_PATH}/lib/python{spec.version.up_to(2)}/site-packages"
        for spec in specs
        if has_packages and spec.name == "python" and not _is_here(spec)
    ]


def _image_path(root: Any) -> Callable[[str], str]:
    """Return what puts the image's paths for this host's prefixes: the view's for what runs, else the store's."""
    runtime = {spec.dag_hash() for spec in root.traverse(deptype=_RUNTIME)}
    store = str(spack.store.STORE.root)
    paths = {}
    for spec in root.traverse():
        if not spec.external:
            prefix = str(spec.prefix)
            paths[prefix] = VIEW_PATH if spec.dag_hash() in runtime else prefix.replace(store, STORE_PATH, 1)
    if not paths:
        return lambda text: text
    longest_first = sorted(paths, key=len, reverse=True)
    pattern = re.compile("(" + "|".join(map(re.escape, longest_first)) + r")(?![\w.-])")
    return lambda text: pattern.sub(lambda match: paths[match.group(1)], text)
