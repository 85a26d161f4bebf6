from functools import partial

import pytest
import timm

from model.backbones import timm_models
from tests.model.published.layouts import DEPTH, WIDTH


@pytest.fixture
def small_dinov2(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes DINOv2 two blocks deep and 128 channels wide: building a real one takes seconds."""
    small = {"embed_dim": WIDTH, "depth": DEPTH, "num_heads": WIDTH // 64}
    monkeypatch.setattr(timm_models.timm, "create_model", partial(timm.create_model, **small))
