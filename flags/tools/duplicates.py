"""Settings of tools.duplicates."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from commons.errors import UsageError
from flags import values
from flags.parsers import make_parser
from flags.settings import build, setting


@dataclass(frozen=True)
class DuplicatesSettings:
    """Settings of tools.duplicates."""

    test: str = setting("", "photos to look for: a table, a folder or a tar file", metavar="TEST", positional=True)
    training: str = setting("", "photos among which to look", metavar="TRAINING", positional=True)
    examples: int = setting(5, "number of pairs to print of each kind", values.natural, metavar="N")
    output: str | None = setting(None, "write all pairs to FILE as CSV", metavar="FILE")


def parse_duplicates_settings(arguments: Sequence[str] | None = None) -> DuplicatesSettings:
    """Reads and checks the flags of tools.duplicates."""
    description = "Count the test photos that are identical or similar to a training photo."
    args = make_parser("-m tools.duplicates", description, DuplicatesSettings).parse_args(arguments)
    for name in (args.test, args.training):
        if not Path(name).exists():
            raise UsageError(f"{name}: there is no such file or folder")
    return build(DuplicatesSettings, vars(args))
