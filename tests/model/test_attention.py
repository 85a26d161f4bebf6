import pytest
import timm
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from commons.errors import ArgumentError
from model.attention import grad_cam, rollout
from model.backbones import timm_models
from model.backbones.building import torchvision_backbone
from model.backbones.timm_models import TimmBackbone

LAYERS, HEADS, WIDTH, PATCH = 3, 2, 16, 8


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def sharpen(module: nn.Module) -> nn.Module:
    """Makes attention uneven: with the small weights of new networks all patches weigh almost the same."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name.endswith(("qkv.weight", "in_proj_weight")):
                parameter.normal_(std=0.7)
    return module.eval()


def tiny_torchvision() -> nn.Module:
    whole = torchvision.models.VisionTransformer(
        image_size=4 * PATCH, patch_size=PATCH, num_layers=LAYERS, num_heads=HEADS, hidden_dim=WIDTH, mlp_dim=32
    )
    return sharpen(torchvision_backbone("ViT_B_16", whole))


def tiny_timm(monkeypatch: pytest.MonkeyPatch, name: str, **options) -> TimmBackbone:
    """A small model with the layers of a timm model."""
    create, size = timm.create_model, dict(depth=LAYERS, num_heads=HEADS, embed_dim=WIDTH, patch_size=PATCH) | options
    monkeypatch.setattr(timm_models.timm, "create_model", lambda *args, **kwargs: create(*args, **kwargs | size))
    return sharpen(TimmBackbone(name))


def product_by_hand(attentions: list[torch.Tensor]) -> torch.Tensor:
    """Formula (1) of the paper, each image and matrix by itself: (A + I) / 2 in its raw form, rows normalised."""
    images = []
    for number in range(len(attentions[0])):
        result = torch.eye(attentions[0].shape[-1])
        for attention in attentions:
            layer = sum(attention[number, head] for head in range(HEADS)) / HEADS + torch.eye(len(result))
            result = (layer / layer.sum(dim=1, keepdim=True)) @ result
        images.append(result)
    return torch.stack(images)


def projections(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Queries and keys of tokens (b, tokens, WIDTH), each (b, HEADS, tokens, WIDTH / HEADS)."""
    query, key = (x @ weight.T + bias).split(WIDTH, dim=-1)[:2]
    return tuple(own.unflatten(-1, (HEADS, WIDTH // HEADS)).transpose(1, 2) for own in (query, key))


def timm_attentions(backbone: TimmBackbone, images: torch.Tensor) -> list[torch.Tensor]:
    """Attention of each layer from its input, without timm's attention function."""
    found, handles = [], []

    def record(layer: nn.Module, args: tuple, output: torch.Tensor) -> None:
        query, key = projections(args[0], layer.qkv.weight, layer.qkv.bias)
        found.append((query @ key.transpose(-2, -1) / (WIDTH // HEADS) ** 0.5).softmax(dim=-1))

    for block in backbone.model.blocks:
        handles.append(block.attn.register_forward_hook(record))
    with torch.no_grad():
        backbone(images)
    for handle in handles:
        handle.remove()
    return found


@torch.no_grad()
def torchvision_attentions(backbone: nn.Module, images: torch.Tensor) -> list[torch.Tensor]:
    """Attention of each layer, with the encoder written out."""
    x = backbone.patch_embedding(images).flatten(2).transpose(1, 2)
    x = torch.cat([backbone.class_token.expand(len(x), -1, -1), x], dim=1) + backbone.encoder.pos_embedding
    found = []
    for layer in backbone.encoder.layers:
        own = layer.self_attention
        query, key = projections(layer.ln_1(x), own.in_proj_weight, own.in_proj_bias)
        found.append((query @ key.transpose(-2, -1) / (WIDTH // HEADS) ** 0.5).softmax(dim=-1))
        x = layer(x)
    return found


def assert_uneven(heat: torch.Tensor) -> None:
    """The test would not see a wrong map if all patches weighed the same."""
    assert (heat.amax(dim=(1, 2)) > 1.5 * heat.amin(dim=(1, 2))).all()


def test_torchvision_vit_equals_the_product_of_matrices():
    backbone, images = tiny_torchvision(), torch.randn(2, 3, 32, 32)
    expected = product_by_hand(torchvision_attentions(backbone, images))
    found = rollout(backbone, images)
    assert found.shape == (2, 4, 4) and torch.allclose(found.flatten(1), expected[:, 0, 1:], atol=1e-5)
    assert_uneven(found)
    assert torch.allclose(rollout(backbone, images, False).flatten(1), expected[:, 1:, 1:].mean(dim=1), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "prefix"),
    [("vit_tiny_patch16_224", 1), ("vit_small_patch14_dinov2", 1), ("vit_small_patch14_reg4_dinov2", 5)],
)
def test_timm_vits_equal_the_product_of_matrices(monkeypatch: pytest.MonkeyPatch, name: str, prefix: int):
    backbone, images = tiny_timm(monkeypatch, name, img_size=32), torch.randn(2, 3, 24, 32)
    expected = product_by_hand(timm_attentions(backbone, images))
    assert expected.shape[-1] == prefix + 12
    found = rollout(backbone, images)
    assert found.shape == (2, 3, 4) and torch.allclose(found.flatten(1), expected[:, 0, prefix:], atol=1e-5)
    assert_uneven(found)
    pooled = expected[:, prefix:, prefix:].mean(dim=1)
    assert torch.allclose(rollout(backbone, images, False).flatten(1), pooled, atol=1e-5)


def test_without_a_class_token_the_patches_are_followed(monkeypatch: pytest.MonkeyPatch):
    backbone = tiny_timm(monkeypatch, "vit_base_patch16_siglip_224", img_size=32)
    images = torch.randn(2, 3, 32, 32)
    expected = product_by_hand(timm_attentions(backbone, images)).mean(dim=1)
    found = rollout(backbone, images)
    assert torch.allclose(found.flatten(1), expected, atol=1e-5) and torch.allclose(found.sum((1, 2)), torch.ones(2))


def test_rotated_positions_take_part(monkeypatch: pytest.MonkeyPatch):
    """DINOv3 has no other positions than those rotated into queries and keys, so a moved patch changes its share."""
    backbone = tiny_timm(monkeypatch, "vit_small_patch16_dinov3", img_size=32)
    patches = torch.randn(1, 3, 32, 32)
    moved = patches.roll(PATCH, dims=-1)
    found, other = rollout(backbone, patches), rollout(backbone, moved)
    assert found.shape == (1, 4, 4) and not torch.allclose(found, other.roll(-1, dims=-1), atol=1e-4)
    assert 0 < found.sum() < 1


def test_rollout_changes_nothing():
    backbone, images = tiny_torchvision(), torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        before = backbone(images)
        rollout(backbone, images)
        assert torch.equal(backbone(images), before)


class Convolutional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 6, 3, stride=2), nn.ReLU(), nn.Conv2d(6, 5, 3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images)


class Windows(nn.Module):
    """Attention within windows, as Swin has it."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        windows = images.unfold(2, 4, 4).unfold(3, 4, 4).permute(0, 2, 3, 4, 5, 1).reshape(-1, 1, 16, 3)
        F.scaled_dot_product_attention(windows, windows, windows)
        return images


@pytest.mark.parametrize("backbone", [Convolutional(), Windows()])
def test_networks_without_attention_over_all_patches_are_refused(backbone: nn.Module):
    with pytest.raises(ArgumentError, match="Grad-CAM"):
        rollout(backbone, torch.randn(2, 3, 16, 16))


def test_grad_cam_equals_its_formula():
    """With mean pooling and a linear layer, d y_c / d A^k is w_ck / (h w) everywhere."""
    network, linear = Convolutional().eval(), nn.Linear(5, 4)
    for parameter in network.parameters():
        parameter.requires_grad = False
    with torch.no_grad():
        features = network(torch.randn(2, 3, 16, 20))
    classes = torch.tensor([3, 1])
    found = grad_cam(features, lambda own: linear(own.mean(dim=(2, 3))), classes)
    height, width = features.shape[-2:]
    for number, target in enumerate(classes):
        expected = torch.zeros(height, width)
        for channel in range(5):
            expected += linear.weight[target, channel].item() / (height * width) * features[number, channel]
        assert torch.allclose(found[number], expected.clamp(min=0), atol=1e-6)
    assert (found == 0).any() and (found > 0).any() and linear.weight.grad is None and not found.requires_grad


def test_grad_cam_of_scores_that_are_not_linear():
    """y = (sum of A)^2, so d y / d A = 2 sum(A) at each position."""
    features = torch.tensor([[[[1.0, -2.0]], [[3.0, 5.0]]]])
    found = grad_cam(features, lambda own: own.sum(dim=(1, 2, 3))[:, None] ** 2, torch.tensor([0]))
    assert torch.allclose(found, torch.tensor([[[2 * 7 * 4.0, 2 * 7 * 3.0]]]))


def test_grad_cam_takes_the_mean_of_the_gradient_over_positions():
    """y = A_00 + 3 A_01, so d y / d A is 1 and 3, and their mean is 2."""
    features = torch.tensor([[[[4.0, 5.0]]]])
    found = grad_cam(features, lambda own: own[:, 0, :, 0] + 3 * own[:, 0, :, 1], torch.tensor([0]))
    assert torch.allclose(found, torch.tensor([[[8.0, 10.0]]]))


def test_grad_cam_works_where_gradients_are_off():
    for mode in (torch.inference_mode, torch.no_grad):
        with mode():
            features = torch.rand(1, 2, 2, 2)
            found = grad_cam(features, lambda own: own.mean(dim=(2, 3)), torch.tensor([1]))
        assert torch.allclose(found[0], features[0, 1] / 4)


def test_rollout_is_exact_within_autocast():
    backbone, images = tiny_torchvision(), torch.randn(1, 3, 32, 32)
    with torch.autocast("cpu", torch.bfloat16):
        found = rollout(backbone, images)
    assert torch.equal(found, rollout(backbone, images))
