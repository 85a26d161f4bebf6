from pathlib import Path

import numpy as np
import torch
from PIL import Image

from datasets.decoding import ImageFiles
from datasets.letterbox import Letterbox
from datasets.reading import read_images
from model.two_towers import build_two_towers
from tasks.street_photos import extract_photos


def test_descriptors_are_those_of_letter_boxed_photos(tmp_path: Path):
    draw = np.random.default_rng(0)
    for number, shape in enumerate([(60, 40), (40, 60), (90, 180)]):
        Image.fromarray(draw.integers(0, 255, (*shape, 3), dtype=np.uint8)).save(tmp_path / f"{number}.png")
    (tmp_path / "3.png").write_bytes(b"no picture")
    network = build_two_towers("ResNet18", 32, aggregation_options={"heads": 4}, levels=2)
    places = read_images(tmp_path)
    found = extract_photos(network, places, {"image_size": [48, 64]}, batch_size=2)
    boxed = torch.stack([ImageFiles(places, Letterbox(48, 64)).read(row) for row in range(3)])
    with torch.inference_mode():
        wanted = network.eval()(boxed).numpy()
    assert np.allclose(found[:3], wanted, atol=1e-5) and np.isnan(found[3]).all()
