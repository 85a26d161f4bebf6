"""Trains a decoder from location embeddings to positions: python -m tools.location_decoder --region FILE [...]"""

import json
import logging
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cells.base import Points
from commons import devices
from commons.checkpoints import load_checkpoint, save_checkpoint
from commons.errors import PlacewiseError, UsageError, run
from commons.files import write_text
from commons.logging import setup_logging
from commons.signals import StopSignal
from flags.tools import LocationDecoderSettings, parse_location_decoder_settings
from methods.location_answers import TRAINED, Measured, answer, answerers, choose_softmax, errors_km, measure
from methods.location_decoder import DecoderRecipe, DecoderTraining
from methods.location_region import split_region
from model.location.building import build_location_encoder
from model.location.decoder import LocationDecoder, save_decoder
from model.location.encoder import LocationEncoder, encode
from model.location.gallery import Gallery

LAST, DECODER, TABLE = "last_checkpoint.pth", "decoder.pth", "decoders.json"
MANY = 1_000_000  # positions, from which an approximate search pays
SAVE_EVERY, ASK_EVERY = 20.0, 0.5  # seconds of processor time


class Encoded:
    """Positions of a region with their embeddings.

    Attributes:
        points: positions.
        degrees: the same, float64 (n, 2).
        embeddings: float32 (n, d).
        seconds: of processor time that the embeddings took.
    """

    def __init__(self, points: Points, encoder: LocationEncoder) -> None:
        start = time.process_time()
        self.points, self.degrees = points, torch.tensor(np.stack(points, axis=1))
        self.embeddings = encode(encoder, self.degrees)
        self.seconds = time.process_time() - start


def identity(settings: LocationDecoderSettings) -> dict[str, Any]:
    """Returns the settings that a continued training must share."""
    return {**asdict(settings.region), **asdict(settings.encoder), **asdict(settings.training)}


def read_state(settings: LocationDecoderSettings, file: Path) -> dict[str, Any] | None:
    """Returns the state to continue from, None to begin.

    Raises:
        UsageError: if there is a checkpoint and --resume is not given, or the other way round, or if it is of a
            training with other settings.
    """
    if not settings.output.resume:
        if file.exists():
            raise UsageError(
                f"--output {file.parent}: holds a training; continue it with --resume, or name another one"
            )
        return None
    state = load_checkpoint(file)
    for name, value in identity(settings).items():
        was = state.get("settings", {}).get(name)
        if was != value:
            raise UsageError(
                f"--{name} {value}: differs from {was}, with which {file} was trained; name another --output"
            )
    return state


class Saver:
    """Saves the state of a training, and logs its error on validation positions."""

    def __init__(
        self, training: DecoderTraining, settings: LocationDecoderSettings, validation: Encoded, stop: StopSignal
    ) -> None:
        self.training, self.settings, self.validation, self.stop = training, settings, validation, stop
        self.file = Path(settings.output.output) / LAST
        self.saved, self.tenths = time.process_time(), int(10 * training.progress)

    def __call__(self) -> bool:
        """Returns whether a signal asked to stop; the state is saved then."""
        training, now = self.training, time.process_time()
        if self.stop.requested or training.progress == 1 or now - self.saved > SAVE_EVERY:
            save_checkpoint(training.state_dict() | {"settings": identity(self.settings)}, self.file)
            self.saved = now
        if int(10 * training.progress) > self.tenths:
            self.tenths = int(10 * training.progress)
            error = errors_km(answer(training.decoder, self.validation.embeddings), self.validation.points).mean()
            done = f"{training.iteration} batches in {training.seconds:.0f} s"
            logging.info(f"{training.progress:4.0%}  {done}  mean error on validation positions {error:.1f} km")
        return self.stop.requested


def fit(training: DecoderTraining, settings: LocationDecoderSettings, validation: Encoded) -> None:
    """Trains to the end.

    Raises:
        PlacewiseError: if a signal stopped the training.
    """
    stop = StopSignal()
    with stop.deferred():
        training.train(Saver(training, settings, validation, stop), every=ASK_EVERY)
    if stop.requested:
        raise PlacewiseError("stopped: continue with the same command and --resume")


def compare(
    settings: LocationDecoderSettings, training: DecoderTraining, encoder: LocationEncoder, encoded: dict[str, Encoded]
) -> list[Measured]:
    """Returns a row for each decoder: errors on test positions, after choices by validation positions."""
    train = encoded["train"]
    gallery = Gallery(train.degrees, train.embeddings, approximate=len(train.degrees) >= MANY)
    softmax = choose_softmax(gallery, encoded["validation"].embeddings, encoded["validation"].points)
    functions = answerers(training.decoder, gallery, encoder, softmax, settings.output.descent)
    before, test = train.seconds, encoded["test"]
    return [
        measure(name, function, test.embeddings, test.points, before + training.seconds * name.startswith(TRAINED))
        for name, function in functions.items()
    ]


def table_lines(rows: list[Measured]) -> list[str]:
    """Returns the table as lines of text."""
    head = ["decoder", "mean km", "median km", "p95 km", "max km", "ms per position", "s before"]
    texts = [head]
    for name, *errors, milliseconds, before in rows:
        texts.append([name, *(f"{error:.3g}" for error in errors), f"{milliseconds:.3g}", f"{before:.0f}"])
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *(text.rjust(width) for text, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in texts
    ]


def main(settings: LocationDecoderSettings | None = None) -> None:
    """Entry point."""
    settings = settings or parse_location_decoder_settings()
    setup_logging()
    folder, chosen, region = Path(settings.output.output), settings.encoder, settings.region
    state = read_state(settings, folder / LAST)
    device = devices.make_accelerator(settings.run.device).device
    precision = devices.choose_precision(settings.run.precision, device)
    split = split_region(
        region.region, region.train_points, region.val_points, region.test_points, settings.training.seed
    )
    encoder = build_location_encoder(chosen.location_encoder, chosen.location_encoder_options, chosen.encoder_weights)
    encoder.freeze().to(device)
    encoded = {name: Encoded(points, encoder) for name, points in split._asdict().items()}
    logging.info(f"{len(split.train.latitude)} positions encoded in {encoded['train'].seconds:.0f} s of processor time")
    torch.manual_seed(settings.training.seed)
    decoder = LocationDecoder(encoder.dim).to(device)
    recipe = DecoderRecipe(**asdict(settings.training), precision=precision)
    training = DecoderTraining(decoder, encoded["train"].degrees, encoded["train"].embeddings, recipe)
    if state:
        training.load_state_dict(state)
    fit(training, settings, encoded["validation"])
    save_decoder(decoder, asdict(chosen), folder / DECODER)
    rows = compare(settings, training, encoder, encoded)
    print(f"{len(split.test.latitude)} test positions; processor time, before: to encode the gallery and to train")
    print("\n".join(table_lines(rows)))
    write_text(folder / TABLE, json.dumps([row._asdict() for row in rows], indent=2))
    print(f"Written to {folder}: {DECODER}, {TABLE}, {LAST}")


if __name__ == "__main__":
    run(main)
