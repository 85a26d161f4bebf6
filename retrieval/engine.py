"""The choice of an index: its name and the values of its options."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from commons.options import Options, check_name, help_text, read_options
from retrieval import INDICES

if TYPE_CHECKING:
    import numpy as np

    from retrieval.table import DescriptorTable


class Index(Protocol):
    """Anything that searches for neighbours, such as every FAISS index."""

    def search(self, queries: "np.ndarray", k: int) -> "tuple[np.ndarray, np.ndarray]":
        """Returns inner products, float32 (q, k), and positions in the table, int64 (q, k), -1 where none is found."""


@dataclass(frozen=True)
class Engine:
    """An index with its options.

    Attributes:
        name: one of INDICES.
        options: options of the builder of the index; missing ones have their defaults.
    """

    name: str = "flat"
    options: Options = field(default_factory=dict)

    @classmethod
    def of(cls, index: "Engine | str") -> "Engine":
        """Returns an engine; a name gets the default options."""
        return cls(index) if isinstance(index, str) else index

    @property
    def on_disk(self) -> bool:
        """Whether the descriptors that are indexed are kept on disk, in float16."""
        return self.name != "flat"

    def build(self, table: "DescriptorTable", k: int) -> Index:
        """Builds the index of a table for k neighbours."""
        return INDICES[self.name](table, k, **self.options)


def read_engine(name: str, given: Mapping[str, str]) -> Engine:
    """Returns an index with all of its options.

    Args:
        name: one of INDICES.
        given: values of options as text.

    Raises:
        ArgumentError: if the name or an option is unknown, or a value has the wrong type.
    """
    check_name("index", name, INDICES)
    if name == "flat" and not given:  # no import of FAISS
        return Engine()
    return Engine(name, read_options("index", name, INDICES[name], given))


def index_help(name: str) -> str:
    """Returns the help text of an index.

    Raises:
        ArgumentError: if the name is unknown.
    """
    return help_text("index", name, INDICES)
