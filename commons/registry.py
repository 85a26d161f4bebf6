"""Builders by name, imported when they are first used, so that listing names in a help text costs nothing."""

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import TypeVar

Builder = TypeVar("Builder")


class Registry(MutableMapping[str, Builder]):
    """A dict of classes or functions whose values may be "module:name" until they are looked up.

    >>> LOSSES = Registry({"cosface": "losses.cosface:cosface"})
    >>> "cosface" in LOSSES      # imports nothing
    >>> LOSSES["cosface"]        # imports losses.cosface

    Adding an entry is one file and one line; at run time, `LOSSES["mine"] = my_loss`.
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
