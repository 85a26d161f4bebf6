import torch

from model.location.building import build_location_encoder
from model.location.network import DecoderNet


def network() -> DecoderNet:
    encoder = build_location_encoder("spherical_harmonics", {"legendre": 4, "width": 16, "dim": 8}, seed=0)
    return DecoderNet(encoder)


def test_positions_are_encoded_and_decoded():
    made, degrees = network().eval(), torch.tensor([[10.0, 20.0], [-80.0, 179.0]])
    found = made(degrees)
    assert torch.equal(found, made.head(made.location(degrees)))
    assert torch.allclose(found.norm(dim=1), torch.ones(2))


def test_only_the_decoder_is_trained():
    made = network().train()
    trained = {name for name, parameter in made.named_parameters() if parameter.requires_grad}
    assert trained == {f"decoder.{name}" for name, _ in made.decoder.named_parameters()}
    assert made.decoder.training and not made.location.training
