import pytest
import timm
import torch
from torch.nn import functional as F

from model.backbones.building import build_backbone
from model.backbones.dinov2 import resample_positions
from tests.model.published.layouts import sampling


@pytest.mark.parametrize(("height", "width"), [(23, 23), (16, 21), (10, 40)])
def test_positions_are_resampled_as_dinov2_does(height: int, width: int):
    embedding = torch.randn(1, 1 + 37 * 37, 4)
    found = resample_positions(embedding, height, width)
    grid = torch.einsum("hi,ijc,wj->hwc", sampling(height), embedding[0, 1:].view(37, 37, 4), sampling(width))
    assert torch.equal(found[:, 0], embedding[:, 0])
    assert torch.allclose(found[0, 1:], grid.flatten(0, 1), atol=5e-5)
    assert resample_positions(embedding, 37, 37) is embedding


@pytest.mark.usefixtures("small_dinov2")
def test_only_dinov2_without_registers_has_them_so():
    """At its own size all agree with timm; at another only the model without registers differs."""
    for name, same in (("vit_small_patch14_dinov2", False), ("vit_small_patch14_reg4_dinov2", True)):
        backbone = build_backbone(f"timm:{name}").eval()
        with torch.device("meta"):
            plain = timm.create_model(name, num_classes=0, global_pool="", dynamic_img_size=True).eval()
        plain.load_state_dict(backbone.model.state_dict(), assign=True)
        images = torch.rand(1, 3, 112, 84)
        with torch.inference_mode():
            tokens = backbone.tokens(images)[0].T
            theirs = plain.forward_features(images)[0]
        theirs = torch.cat([theirs[:1], theirs[plain.num_prefix_tokens :]])
        assert (F.cosine_similarity(tokens, theirs).min() > 1 - 1e-6) == same
