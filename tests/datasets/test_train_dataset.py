from pathlib import Path

import pytest
import torch
from PIL import Image

from datasets.decoding import ImageFiles
from datasets.grouping import make_groups
from datasets.image_cache import cached_images
from datasets.reading import read_places
from datasets.samplers import ClassSampler, Draw
from datasets.train_dataset import Sample, Undecoded, collate, decoded_on_gpu, square, to_device, train_loader


@pytest.mark.parametrize(("shift", "columns"), [(0.0, (0, 20)), (0.5, (10, 30)), (1.0, (20, 40))])
def test_square_window(shift: float, columns: tuple[int, int]):
    image = torch.arange(40, dtype=torch.uint8).expand(3, 20, 40)
    assert torch.equal(square(image, 20, Draw(0, 0, shift)), image[:, :, slice(*columns)])


@pytest.mark.parametrize(
    ("middle", "columns"), [(0.5, range(20, 30)), (0.0, [*range(45, 50), *range(5)]), (0.98, None)]
)
def test_window_of_a_panorama_may_reach_over_the_seam(middle: float, columns):
    panorama = torch.arange(50, dtype=torch.uint8).expand(3, 10, 50)
    columns = [*range(44, 50), *range(4)] if columns is None else columns
    assert square(panorama, 10, Draw(0, 0, middle, around=True))[1, 7].tolist() == list(columns)


def test_unreadable_images_are_replaced_within_the_batch():
    good = torch.ones(3, 4, 4, dtype=torch.uint8)
    images, labels, failures = collate(
        [
            Sample(good, Draw(0, 5, 0.0), "a"),
            Sample(None, Draw(1, 6, 0.0), "b", "torn"),
            Sample(good * 2, Draw(2, 7, 0.0), "c"),
        ]
    )
    assert images.shape == (3, 3, 4, 4)
    assert labels.tolist() == [5, 7, 5]
    assert failures == [("b", "torn")]


@pytest.mark.parametrize("workers", [0, 2])
def test_loader_gives_uint8_batches_epoch_after_epoch(city: Path, workers: int):
    places = read_places(city / "train")
    (group,) = make_groups(places, 10, 30, 5, 2, 1, 2)
    sampler = ClassSampler(4, 3, seed=0)
    sampler.set_epoch([group], 0)
    loader = train_loader(ImageFiles(places, 48), sampler, workers, pin_memory=False)
    for epoch in range(2):
        sampler.set_epoch([group], epoch)
        expected = [[draw.label for draw in batch] for batch in sampler]
        drawn = list(loader)
        assert [labels.tolist() for _, labels, _ in drawn] == expected
        assert all(images.shape == (4, 3, 48, 48) and images.dtype == torch.uint8 for images, _, _ in drawn)


@pytest.mark.parametrize("decoder", ["cpu", "cuda"])
@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("cache", ["none", "disk"])
def test_decoding_on_the_device_gives_the_same_batches(
    own_city: Path, tmp_path: Path, decoder: str, workers: int, cache: str
):
    """To a GPU upright JPEGs go undecoded; a turned one, a PNG, cached pixels and damaged ones as without."""
    first, second, third, fourth, fifth = sorted((own_city / "train").iterdir())[::5][:5]
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(first).resize((80, 64)).save(first, exif=exif)
    Image.open(second).save(second, "PNG")
    third.write_bytes(third.read_bytes()[:-100])
    fourth.write_bytes(b"torn")
    Image.effect_noise((150, 90), 90).convert("RGB").save(fifth, quality=100)
    places = read_places(own_city / "train")
    (group,) = make_groups(places, 10, 30, 5, 2, 1, 2)
    sampler = ClassSampler(8, 6, seed=0)
    sampler.set_epoch([group], 0)
    source = cached_images(places, 48, cache, tmp_path / "cache")
    assert {source.load(row).ndim for row in range(len(places))} == ({1} if cache == "none" else {1, 3})
    plain = train_loader(source, sampler, workers, pin_memory=False)
    undecoded = train_loader(source, sampler, workers, pin_memory=False, decoder=torch.device(decoder))
    seen = set()
    for ours, theirs in zip(undecoded, plain, strict=True):
        assert isinstance(ours, Undecoded)
        assert any(len(shape) == 1 and shape[0] for shape in ours.shapes)
        if decoder == "cuda":  # as the GPU would, on the CPU
            images, labels, failures = collate(decoded_on_gpu(ours, 48, torch.device("cpu")))
        else:
            images, labels, failures = to_device(ours, 48, torch.device("cpu"))
        assert torch.equal(images, theirs[0])
        assert torch.equal(labels, theirs[1])
        assert failures == theirs[2]
        seen |= {Path(path) for path, _ in failures}
    assert seen == {third, fourth}


def test_a_batch_without_a_readable_image_is_empty(tmp_path: Path):
    undecoded = Undecoded(torch.empty(0, dtype=torch.uint8), [(0,)], [Sample(None, Draw(0, 5, 0.0), "a", "torn")])
    images, labels, failures = to_device(undecoded, 48, torch.device("cpu"))
    assert (len(images), len(labels), failures) == (0, 0, [("a", "torn")])
