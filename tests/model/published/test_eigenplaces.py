"""EigenPlaces has the networks of CosPlace; test_cosplace.py checks the layout of both."""

from model.published import PUBLISHED


def test_addresses():
    names = [name for name in PUBLISHED if name.startswith("eigenplaces-")]
    assert len(names) == 1 + 2 + 2 * 4
    address = "https://github.com/gmberton/EigenPlaces/releases/download/v1.0/ResNet18_256_eigenplaces.pth"
    assert PUBLISHED["eigenplaces-resnet18-256"].address == address
