"""The confidence section of an evaluation's report, and the calibration on a validation set."""

import json
import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from commons.files import write_text
from metrics.calibration import Calibration, calibration_figures, fit_calibration
from metrics.confidence import confidence_figures
from reports.confidence import save_precision_recall
from tasks.gate import first_right
from tasks.measuring import Evaluation
from tasks.signals import measures_of

FILE, PICTURE = "calibration.json", "confidence.png"
LEFT_OUT = ("random", "probability")


def report_confidence(
    evaluations: Mapping[str, Evaluation], validation: Collection[str], folder: Path, folders: Mapping[str, Path]
) -> tuple[dict[str, dict[str, Any]], dict[str, np.ndarray]]:
    """Evaluates and draws how well each measure of confidence separates correct first predictions from wrong ones.

    The calibration is fitted to the first validation set and applied to the other sets that are not validation sets.

    Args:
        evaluations: evaluations by the names of the test sets.
        validation: names of the validation sets among them.
        folder: folder of the run, for the calibration.
        folders: folders of each test set, for its picture.

    Returns:
        The entries "confidence" and "calibration" of results.json for each set with labels, and the calibrated
        probabilities of the test sets, (q,) each.
    """
    labelled = {name: own for name, own in evaluations.items() if own.correct is not None and len(own.queries)}
    measures = {name: measures_of(own) for name, own in labelled.items()}
    fitted_to = next((name for name in labelled if name in validation), None)
    calibration = None
    if fitted_to is not None:
        calibration = calibrate(measures[fitted_to], first_right(labelled[fitted_to]))
        write_text(folder / FILE, json.dumps({"fitted_to": fitted_to, **calibration.record()}, indent=2) + "\n")
    results: dict[str, dict[str, Any]] = {}
    probabilities = {}
    for name, own in evaluations.items():
        if calibration is not None and name not in validation:
            values = measures.get(name) or measures_of(own)
            if set(calibration.names) <= values.keys():
                probabilities[name] = calibration.probability(values)
        if name in labelled:
            results[name] = _report(measures[name], labelled[name], probabilities.get(name), fitted_to, folders[name])
    if probabilities:
        logging.info(f"Probabilities of the first predictions are calibrated on {fitted_to}: predictions.parquet")
    return results, probabilities


def calibrate(measures: Mapping[str, np.ndarray], correct: np.ndarray) -> Calibration:
    """Fits the probability of a correct first prediction to all measures of a validation set.

    Args:
        measures: measures returned by `measures_of`.
        correct: bool (q,).
    """
    return fit_calibration(measures, correct, [name for name in measures if name not in LEFT_OUT])


def _report(
    measures: dict[str, np.ndarray],
    evaluation: Evaluation,
    probability: np.ndarray | None,
    fitted_to: str | None,
    folder: Path,
) -> dict[str, Any]:
    correct = first_right(evaluation)
    record: dict[str, Any] = {}
    if probability is not None:
        measures = measures | {"probability": probability}
        record["calibration"] = {"fitted_to": fitted_to} | calibration_figures(probability, correct)
    figures = confidence_figures(correct, measures)
    if figures:
        save_precision_recall(correct, measures, figures, folder / PICTURE)
    return {"confidence": figures} | record
