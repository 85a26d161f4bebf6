"""Shows how reliable the confidence of first predictions is: python -m tools.confidence RUN"""

from pathlib import Path

import numpy as np
import pyarrow as pa

from commons.errors import PlacewiseError, run
from commons.files import write_text
from flags.tools import ConfidenceSettings, parse_confidence_settings
from metrics.calibration import calibration_figures
from metrics.confidence import confidence_figures, confidence_measures
from reports.confidence import confidence_markdown, save_precision_recall
from reports.predictions_table import find_tables, load_predictions_table


def report_confidence(file: Path, folder: Path) -> str:
    """Writes confidence.md and confidence.png of one test set, and returns the text for the console.

    Args:
        file: the predictions.
        folder: where to write.

    Raises:
        PlacewiseError: if the queries have no positions, or no first prediction is correct.
    """
    table, about = load_predictions_table(file)
    if not len(table) or table["nearest_distance"].null_count == len(table):
        raise PlacewiseError(f"{file}: the queries have no positions (`no_labels`), so correct predictions are unknown")
    correct = table["first_right"].fill_null(0).to_numpy() == 1
    if not correct.any():
        raise PlacewiseError(f"{file}: no first prediction is correct, so confidence cannot be evaluated")
    measures = measures_of(table)
    figures = confidence_figures(correct, measures)
    calibration = None
    if "probability" in measures:
        fitted_to = about.get("calibrated_on", "validation")
        calibration = {"fitted_to": fitted_to} | calibration_figures(measures["probability"], correct)
    save_precision_recall(correct, measures, figures, folder / "confidence.png")
    text = confidence_markdown(about["test_set"], figures, calibration)
    write_text(folder / "confidence.md", f"{text}\n![precision and recall](confidence.png)\n")
    return text


def measures_of(table: pa.Table) -> dict[str, np.ndarray]:
    """Returns all measures of confidence that a predictions table contains, by name, (q,) each."""
    similarities = np.array(table["similarities"].to_pylist(), np.float32)
    sue, margin, probability = (
        table[name].cast(pa.float64()).fill_null(np.nan).to_numpy() for name in ("sue", "margin", "probability")
    )
    inliers = np.array([-1 if own is None or own[0] is None else own[0] for own in table["inliers"].to_pylist()])
    return confidence_measures(similarities, sue, margin, inliers, probability)


def main(settings: ConfidenceSettings | None = None) -> None:
    """Entry point."""
    settings = settings or parse_confidence_settings()
    source = Path(settings.run)
    target = Path(settings.output or source / "confidence")
    for file in find_tables(source):
        folder = target / file.parent.relative_to(source)
        print(report_confidence(file, folder))
        print(f"Written: {folder / 'confidence.md'}, {folder / 'confidence.png'}\n")


if __name__ == "__main__":
    run(main)
