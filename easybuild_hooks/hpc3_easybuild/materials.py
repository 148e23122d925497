"""What an installation is made of: sources, patches, parts of a bundle, extensions, each with its checksum."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

#: More of anything is cut off: a record stays readable and a hostile easyconfig cannot fill a disk.
TEXT_LIMIT = 1024
LIST_LIMIT = 4096

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


def text(value: object, limit: int = TEXT_LIMIT) -> str:
    """Return a value as text of at most ``limit`` characters, without NUL and lone surrogates."""
    clean = str(value).replace("\0", "").encode("utf-8", "backslashreplace").decode("utf-8")
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def sources_of(easyconfig: Any) -> list[dict[str, Any]]:
    """Return the sources: ``name``, ``urls`` (where it may be fetched), ``sha256`` (empty when not stated)."""
    sources = _listed(easyconfig["sources"])
    return _sources(sources, _listed(easyconfig["source_urls"]), _checksums(easyconfig))


def patches_of(easyconfig: Any) -> list[dict[str, str]]:
    """Return the patches: ``name`` and ``sha256``; EasyBuild lists their checksums after those of the sources."""
    checksums = _checksums(easyconfig)[len(_listed(easyconfig["sources"])) :]
    names = [_name(patch) for patch in _listed(easyconfig["patches"])]
    return [
        {"name": name, "sha256": _sha256(checksums[index] if index < len(checksums) else None, name)}
        for index, name in enumerate(names[:LIST_LIMIT])
        if name
    ]


def parts_of(easyconfig: Any) -> list[dict[str, Any]]:
    """Return the parts of a ``Bundle``: each is software of its own inside one installation."""
    found = []
    for part in _listed(easyconfig.get("components"))[:LIST_LIMIT]:
        if isinstance(part, (list, tuple)) and len(part) >= 2:
            options = part[2] if len(part) > 2 and isinstance(part[2], Mapping) else {}
            filled = _filled(options, str(part[0]), str(part[1]))
            sources = _sources(
                _listed(filled.get("sources")), _listed(filled.get("source_urls")), _listed(filled.get("checksums"))
            )
            found.append({"name": text(part[0]), "version": text(part[1]), "sources": sources})
    return found


def extensions_of(easyconfig: Any, easyblock: str) -> list[dict[str, Any]]:
    """Return the extensions: ``name``, ``version``, ``class`` (the easyblock that installs it), ``sha256``."""
    default_class = easyconfig["exts_defaultclass"] or easyblock
    defaults = easyconfig["exts_default_options"] or {}
    found = []
    for extension in _listed(easyconfig["exts_list"])[:LIST_LIMIT]:
        if isinstance(extension, str):  # part of the software itself, only checked for: R's own packages
            continue
        name, version = (str(item) for item in (*extension, "", "")[:2])
        options = extension[2] if len(extension) > 2 and isinstance(extension[2], Mapping) else {}
        checksums = _listed(options.get("checksums"))
        class_ = options.get("easyblock") or default_class
        urls = _listed(options.get("source_urls") or defaults.get("source_urls"))
        found.append(
            {
                "name": text(name),
                "version": text(version),
                "class": text(class_ if isinstance(class_, str) else ""),
                "source_urls": [text(url) for url in urls if _is_url(url)][:4],
                "sha256": _sha256(checksums[0], "") if checksums else "",
            }
        )
    return found


def _sources(sources: Sequence[Any], urls: Sequence[Any], checksums: Sequence[Any]) -> list[dict[str, Any]]:
    found = []
    for index, source in enumerate(sources[:LIST_LIMIT]):
        name = _name(source)
        if not name:
            continue
        found.append(
            {
                "name": name,
                "urls": _urls(source, urls, name),
                "sha256": _sha256(checksums[index] if index < len(checksums) else None, name),
            }
        )
    return found


def _name(item: object) -> str:
    """Return the file name of a source or patch in any of EasyBuild's spellings."""
    if isinstance(item, Mapping):
        item = item.get("filename") or item.get("name") or ""
    elif isinstance(item, (list, tuple)):
        item = item[0] if item else ""
    return text(item).rpartition("/")[2]


def _urls(source: object, urls: Sequence[Any], name: str) -> list[str]:
    remote = name
    if isinstance(source, Mapping):
        git = source.get("git_config")
        if isinstance(git, Mapping) and _is_url(git.get("url")):
            return [f"{str(git['url']).rstrip('/')}/{text(git.get('repo_name', ''))}.git"]
        urls = _listed(source.get("source_urls")) or urls
        remote = text(source.get("download_filename") or name)
    elif isinstance(source, (list, tuple)) and len(source) > 1 and _is_url(str(source[0])):
        return [text(source[0])]
    if _is_url(remote):
        return [remote]
    return [
        text(f"{str(url).rstrip('/')}/{remote}" if not str(url).endswith("=") else f"{url}{remote}")
        for url in urls
        if _is_url(url)
    ][:8]


def _is_url(value: object) -> bool:
    return isinstance(value, str) and value.startswith(("https://", "http://", "ftp://"))


def _checksums(easyconfig: Any) -> list[Any]:
    return _listed(easyconfig["checksums"])


def _sha256(checksum: object, name: str) -> str:
    """Return the SHA-256 that a checksum entry states for a file; empty where it states none or several."""
    if isinstance(checksum, Mapping):
        checksum = checksum.get(name) or (next(iter(checksum.values())) if len(checksum) == 1 else None)
    if isinstance(checksum, (list, tuple)):
        if len(checksum) == 2 and checksum[0] == "sha256":
            checksum = checksum[1]
        else:
            return ""
    return checksum.lower() if isinstance(checksum, str) and _SHA256.fullmatch(checksum) else ""


def _filled(options: Mapping[str, Any], name: str, version: str) -> Mapping[str, Any]:
    """Return a part's options with its own name and version in the templates, as ``Bundle`` fills them."""
    values = {"%(name)s": name, "%(version)s": version, "%(namelower)s": name.lower()}

    def fill(value: Any) -> Any:
        if isinstance(value, str):
            for template, replacement in values.items():
                value = value.replace(template, replacement)
            return value
        if isinstance(value, Mapping):
            return {fill(key): fill(item) for key, item in value.items()}
        return [fill(item) for item in value] if isinstance(value, (list, tuple)) else value

    return {key: fill(options[key]) for key in ("sources", "source_urls", "checksums") if key in options}


def _listed(value: object) -> list[Any]:
    if value is None or value == "":
        return []
    if isinstance(value, (str, Mapping)):
        return [value]
    return list(value) if isinstance(value, Iterable) else []
