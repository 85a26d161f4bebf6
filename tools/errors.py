"""Analyses the errors of a network: python -m tools.errors RUN"""

from pathlib import Path

from commons.errors import PlacewiseError, run
from commons.files import write_text
from flags.tools import ErrorsSettings, parse_errors_settings
from reports.error_bins import all_sections, ranks
from reports.error_plots import save_error_plot
from reports.error_tables import errors_markdown
from reports.predictions_table import find_tables, load_predictions_table


def report_errors(file: Path, folder: Path, worst: int) -> str:
    """Writes errors.md and errors.png of one test set and returns the text for the console.

    Args:
        file: file of the predictions.
        folder: folder to write to.
        worst: number of worst queries to list.

    Raises:
        PlacewiseError: if the queries have no positions.
    """
    table, about = load_predictions_table(file)
    unknown = (table[name].null_count == len(table) for name in ("nearest", "nearest_distance"))
    if not len(table) or all(unknown):
        raise PlacewiseError(f"{file}: the queries have no positions (`no_labels`), so wrong predictions are unknown")
    sections = all_sections(table, about)
    save_error_plot(sections, 100 * float((ranks(table) == 1).mean()), folder / "errors.png")
    write_text(folder / "errors.md", errors_markdown(table, about, sections, worst, folder))
    return errors_markdown(table, about, sections, worst)


def main(settings: ErrorsSettings | None = None) -> None:
    """Entry point."""
    settings = settings or parse_errors_settings()
    source = Path(settings.run)
    target = Path(settings.output or source / "errors")
    for file in find_tables(source):
        folder = target / file.parent.relative_to(source)
        print(report_errors(file, folder, settings.worst))
        print(f"Written: {folder / 'errors.md'}, {folder / 'errors.png'}\n")


if __name__ == "__main__":
    run(main)
