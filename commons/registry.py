"""Registries of builders that are imported on first use, so that help texts can list the names quickly."""

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import TypeVar

Builder = TypeVar("Builder")


class Registry(MutableMapping[str, Builder]):
    """A dict of classes or functions. Values can be "module:name" strings, which are imported on first access.

    >>> LOSSES = Registry({"cosface": "losses.cosface:cosface"})
    >>> "cosface" in LOSSES      # imports nothing
    >>> LOSSES["cosface"]        # imports losses.cosface

    To add an entry, add a file and a line; at run time, `LOSSES["mine"] = my_loss`.
    """

    def __init__(self, entries: Mapping[str, Builder | str]) -> None:
        self._entries = dict(entries)

    def __getitem__(self, name: str) -> Builder:
        entry = self._entries[name]
        if isinstance(entry, str):
            module, _, attribute = entry.partition(":")
            entry = self._entries[name] = getattr(import_module(module), attribute)
        return entry

    def __setitem__(self, name: str, entry: Builder | str) -> None:
        self._entries[name] = entry

    def __delitem__(self, name: str) -> None:
        del self._entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __or__(self, other: "Registry[Builder]") -> "Registry[Builder]":
        return Registry(self._entries | other._entries)
