"""Counts test photos that are also training photos: python -m tools.duplicates TEST TRAINING"""

import csv
import io
from pathlib import Path

from commons.errors import run
from commons.files import write_text
from commons.logging import setup_logging
from datasets.geotagged import find_duplicates, read_geotagged
from flags.tools import DuplicatesSettings, parse_duplicates_settings


def main(settings: DuplicatesSettings | None = None) -> None:
    """Entry point."""
    chosen = settings or parse_duplicates_settings()
    setup_logging(quiet=True)
    test, training = (read_geotagged(source).places for source in (chosen.test, chosen.training))
    found = find_duplicates(test, training)
    print("\n".join(found.lines(test, training, chosen.examples)))
    if chosen.output:
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["test", "training", "correlation"])
        writer.writerows([test.path(a), training.path(b), ""] for a, b in found.exact.tolist())
        pairs = zip(found.near.tolist(), found.correlation.tolist(), strict=True)
        writer.writerows([test.path(a), training.path(b), f"{value:.4f}"] for (a, b), value in pairs)
        write_text(Path(chosen.output), stream.getvalue())
        print(f"Written: {chosen.output}")


if __name__ == "__main__":
    run(main)
