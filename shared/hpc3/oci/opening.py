"""Opening the store that a reference asks for."""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from .reference import ImageReference
from .store import ImageStore

if TYPE_CHECKING:  # HTTP is imported where a registry is asked for: layouts and archives do without
    from .connections import Access
    from .registry_client import RegistryClient


class Stores:
    """Opens stores, and keeps the connections to registries for all of them; usable from several threads.

    Args:
        access: how registries are reached; None for the defaults.
        writing: whether anything will be published.
        compact: whether archives are rewritten instead of appended to.
    """

    def __init__(self, access: Access | None = None, *, writing: bool = False, compact: bool = False) -> None:
        self._access = access
        self._writing = writing
        self._compact = compact
        self._clients: dict[str, RegistryClient] = {}
        self._lock = Lock()

    def __enter__(self) -> Stores:
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._clients.values():
            client.close()

    def open(self, reference: ImageReference) -> ImageStore:
        """Return the store that holds what the reference names.

        Raises:
            InputError: a layout or an archive is not what it should be.
        """
        if reference.transport == "oci":
            from .layout import LayoutStore

            return LayoutStore(Path(reference.location))
        if reference.transport == "oci-archive":
            from .archive import ArchiveStore

            return ArchiveStore(Path(reference.location), compact=self._compact)
        if reference.transport == "containers-storage":
            from .storage import StorageStore

            return StorageStore(reference)
        return self._registry(reference)

    def _registry(self, reference: ImageReference) -> ImageStore:
        from .connections import Access
        from .registry import RegistryStore
        from .registry_client import RegistryClient

        with self._lock:
            client = self._clients.get(reference.location)
            if client is None:
                client = RegistryClient(reference.location, self._access or Access(), writing=self._writing)
                self._clients[reference.location] = client
        return RegistryStore(client, reference.repository)
