import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from pyproj import Proj

from commons.errors import PlacewiseError
from model.location import geoclip
from model.location.building import build_location_encoder
from model.location.encoder import encode
from model.location.geoclip import equal_earth, installed_weights

INSTALLED = find_spec("geoclip") is not None
POINTS = torch.tensor([[0.0, 0.0], [40.0, -100.0], [-33.9, 151.2], [89.9, 10.0], [-90.0, 0.0], [12.0, 179.99]])


def package_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes a package geoclip that cannot be imported, with weights of a new encoder."""
    folder = tmp_path / "site" / "geoclip"
    file = folder / "model" / "weights" / "location_encoder_weights.pth"
    file.parent.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise ImportError('must not be imported')")
    torch.save(build_location_encoder("geoclip", seed=3).state_dict(), file)
    monkeypatch.syspath_prepend(tmp_path / "site")
    return file


def test_equal_earth_equals_that_of_proj():
    draw = np.random.default_rng(0)
    latitude, longitude = draw.uniform(-90, 90, 1000), draw.uniform(-180, 180, 1000)
    found = equal_earth(torch.tensor(np.stack([latitude, longitude], axis=1)))
    expected = np.stack(Proj("+proj=eqearth +R=1")(longitude, latitude), axis=1) * 66.50336 / 180
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-8)
    assert found.abs().max(dim=0).values.tolist() == pytest.approx([1, 0.487], abs=0.01)


def test_embedding_by_hand():
    """The sum of three MLPs of [cos 2 pi B v, sin 2 pi B v], computed with NumPy from the state dict."""
    encoder = build_location_encoder("geoclip", seed=0).double()
    state = {name: value.numpy() for name, value in encoder.state_dict().items()}
    point = equal_earth(POINTS[1:2].double()).numpy()[0]
    total = 0
    for part in ("LocEnc0", "LocEnc1", "LocEnc2"):
        turns = 2 * np.pi * state[f"{part}.capsule.0.b"] @ point
        values = np.concatenate([np.cos(turns), np.sin(turns)])
        for layer in (1, 3, 5):
            linear = state[f"{part}.capsule.{layer}.weight"] @ values + state[f"{part}.capsule.{layer}.bias"]
            values = np.maximum(linear, 0)
        total = total + state[f"{part}.head.0.weight"] @ values + state[f"{part}.head.0.bias"]
    with torch.no_grad():
        np.testing.assert_allclose(encoder(POINTS[1:2].double())[0].numpy(), total, atol=1e-9)
    scales = [state[f"LocEnc{number}.capsule.0.b"].std() for number in range(3)]
    assert scales == pytest.approx([1, 16, 256], rel=0.1)


@pytest.mark.skipif(not INSTALLED, reason="needs GeoCLIP's weights: pip install --no-deps geoclip")
def test_embeddings_equal_those_of_the_package():
    """The class comes from its file: the package itself imports transformers and more."""
    folder = str(Path(find_spec("geoclip").submodule_search_locations[0]) / "model")
    package = type(sys)("geoclip_model")
    package.__path__ = [folder]
    sys.modules["geoclip_model"] = package
    try:
        published = import_module("geoclip_model.location_encoder").LocationEncoder()
    finally:
        for name in [name for name in sys.modules if name.startswith("geoclip_model")]:
            del sys.modules[name]
    encoder = build_location_encoder("geoclip")
    draw = torch.Generator().manual_seed(0)
    points = torch.cat(
        [POINTS, torch.rand(500, 2, generator=draw) * torch.tensor([180, 360]) - torch.tensor([90, 180])]
    )
    with torch.no_grad():
        assert (encoder(points) - published(points)).abs().max() <= 1e-6


def test_weights_are_read_without_importing_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = package_file(tmp_path, monkeypatch)
    assert installed_weights() == file and "geoclip" not in sys.modules
    expected = build_location_encoder("geoclip", seed=3)
    for encoder in (build_location_encoder("geoclip"), build_location_encoder("geoclip", weights=file)):
        with torch.no_grad():
            assert torch.equal(encoder(POINTS), expected(POINTS))


def test_a_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(geoclip, "find_spec", lambda name: None)
    with pytest.raises(PlacewiseError, match="not installed: pip install --no-deps geoclip$"):
        build_location_encoder("geoclip")


def test_other_weights_are_refused(tmp_path: Path):
    torch.save({"a": torch.zeros(1)}, tmp_path / "a.pth")
    with pytest.raises(PlacewiseError, match="a.pth: these weights do not fit geoclip"):
        build_location_encoder("geoclip", weights=tmp_path / "a.pth")
    with pytest.raises(PlacewiseError, match="there is no such checkpoint"):
        build_location_encoder("geoclip", weights=tmp_path / "b.pth")


def test_batches_do_not_change_embeddings():
    encoder = build_location_encoder("geoclip", seed=0)
    draw = np.random.default_rng(0)
    degrees = torch.tensor(np.stack([draw.uniform(-90, 90, 100), draw.uniform(-180, 180, 100)], axis=1))
    whole, parts = encode(encoder, degrees), encode(encoder, degrees, batch=33)
    assert whole.shape == (100, 512) and whole.dtype == torch.float32
    np.testing.assert_allclose(parts, whole, atol=1e-5)


def test_all_but_the_frequencies_are_trained():
    encoder = build_location_encoder("geoclip", seed=0)
    assert sum(parameter.numel() for parameter in encoder.parameters()) == pytest.approx(9.45e6, rel=0.01)
    encoder(POINTS).square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in encoder.parameters())
    assert "LocEnc2.capsule.0.b" not in dict(encoder.named_parameters())
