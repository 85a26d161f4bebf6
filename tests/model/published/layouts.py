"""State dicts in the layout of the authors, with random numbers, and simple implementations of their networks."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from torch.nn import functional as F

from model.network import GeoLocalizationNet
from model.published import PUBLISHED
from model.published.weights import load_published

WIDTH, DEPTH = 128, 2
Shapes = dict[str, tuple[int, ...]]
State = dict[str, torch.Tensor]
MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


def assert_fits(name: str, shapes: Shapes) -> None:
    """The published layout becomes ours, tensor for tensor, and the name says the descriptor's dimension."""
    entry = PUBLISHED[name]
    with torch.device("meta"):
        network = GeoLocalizationNet(**entry.network)
        converted = entry.convert({key: torch.zeros(shape) for key, shape in shapes.items()})
    ours = network.state_dict()
    assert {key: value.shape for key, value in converted.items()} == {key: value.shape for key, value in ours.items()}
    assert network.descriptor_dim == int(name.rpartition("-")[2])


def load(name: str, state: State, folder: Path, patch: pytest.MonkeyPatch, **changes: object) -> GeoLocalizationNet:
    """Loads a state dict through its file, into the published network with some arguments changed."""
    entry = PUBLISHED[name]
    patch.setitem(PUBLISHED, name, replace(entry, network={**entry.network, **changes}))
    torch.save(state, folder / "published.pth")
    return load_published(name, str(folder / "published.pth"))[0].eval()


def assert_describes(network: GeoLocalizationNet, images: torch.Tensor, expected: torch.Tensor) -> None:
    """Descriptors are as expected, and their differences between images too, which are far above rounding."""
    with torch.inference_mode():
        found = network(images)
    assert torch.allclose(found, expected, atol=2e-6)
    assert (expected[0] - expected[1]).abs().max() > 1e-4


def random_state(shapes: Shapes) -> State:
    """Numbers that keep activations near 1 through many layers."""
    draw = torch.Generator().manual_seed(0)
    state = {}
    for name, shape in shapes.items():
        values = torch.randn(shape, generator=draw)
        if name.endswith("num_batches_tracked"):
            values = torch.tensor(1)
        elif name.endswith("running_var"):
            values = 1 + values.abs()
        elif len(shape) == 1:
            values = 0.1 * values + (not name.endswith(("bias", "running_mean")))
        elif len(shape) > 1 and name.endswith("weight"):
            values = values / math.sqrt(math.prod(shape[1:]))
        state[name] = values
    return state


def resnet_shapes(prefix: str, children: str, name: str = "resnet50") -> Shapes:
    """A torchvision ResNet at `prefix`, only these of its children."""
    with torch.device("meta"):
        whole = torchvision.models.get_model(name).state_dict()
    return {prefix + name: value.shape for name, value in whole.items() if name.split(".")[0] in children.split()}


def resnet_map(state: State, prefix: str, images: torch.Tensor) -> torch.Tensor:
    """torchvision's own ResNet18 up to the last layer that `state` has."""
    with torch.device("meta"):
        whole = torchvision.models.resnet18().eval()
    own = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    whole.load_state_dict(own, strict=False, assign=True)
    x = whole.maxpool(whole.relu(whole.bn1(whole.conv1(normalised(images)))))
    for number in range(1, 5):
        if f"layer{number}.0.conv1.weight" in own:
            x = getattr(whole, f"layer{number}")(x)
    return x


def normalised(images: torch.Tensor) -> torch.Tensor:
    return (images - MEAN.view(3, 1, 1)) / STD.view(3, 1, 1)


def dinov2_shapes(prefix: str, width: int = 768, depth: int = 12, mask_token: bool = True) -> Shapes:
    """DINOv2 in the layout of its authors."""
    shapes = {"cls_token": (1, 1, width), "pos_embed": (1, 1 + 37 * 37, width)}
    shapes |= {"mask_token": (1, width)} if mask_token else {}
    shapes |= {"patch_embed.proj.weight": (width, 3, 14, 14), "patch_embed.proj.bias": (width,)}
    layers = {"attn.qkv": (3 * width, width), "attn.proj": (width, width)}
    layers |= {"mlp.fc1": (4 * width, width), "mlp.fc2": (width, 4 * width), "norm1": (width,), "norm2": (width,)}
    for block in range(depth):
        for layer, shape in layers.items():
            shapes |= {f"blocks.{block}.{layer}.weight": shape, f"blocks.{block}.{layer}.bias": shape[:1]}
        shapes |= {f"blocks.{block}.ls{number}.gamma": (width,) for number in (1, 2)}
    shapes |= {"norm.weight": (width,), "norm.bias": (width,)}
    return {prefix + name: shape for name, shape in shapes.items()}


class PlainDINOv2:
    """DINOv2's layers, from the tensors at `prefix` of a state dict in the layout of its authors."""

    def __init__(self, state: State, prefix: str) -> None:
        self.own = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        self.width = self.own["cls_token"].shape[-1]
        self.depth = 1 + max(int(name.split(".")[1]) for name in self.own if name.startswith("blocks."))

    def linear(self, name: str, x: torch.Tensor) -> torch.Tensor:
        return x @ self.own[f"{name}.weight"].T + self.own[f"{name}.bias"]

    def layer_norm(self, name: str, x: torch.Tensor) -> torch.Tensor:
        centred = x - x.mean(-1, keepdim=True)
        deviation = (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt()
        return centred / deviation * self.own[f"{name}.weight"] + self.own[f"{name}.bias"]

    def facets(self, block: int, x: torch.Tensor) -> torch.Tensor:
        """Queries, keys and values, (3, b, n, width)."""
        x = self.linear(f"blocks.{block}.attn.qkv", self.layer_norm(f"blocks.{block}.norm1", x))
        return x.unflatten(-1, (3, self.width)).permute(2, 0, 1, 3)

    def attended(self, block: int, x: torch.Tensor) -> torch.Tensor:
        queries, keys, values = self.facets(block, x).unflatten(-1, (-1, 64)).transpose(2, 3)
        mixed = (queries @ keys.transpose(-2, -1) / 8).softmax(-1) @ values
        mixed = self.linear(f"blocks.{block}.attn.proj", mixed.transpose(1, 2).flatten(2))
        return x + self.own[f"blocks.{block}.ls1.gamma"] * mixed

    def mlp(self, block: int, normed: torch.Tensor) -> torch.Tensor:
        return self.linear(f"blocks.{block}.mlp.fc2", F.gelu(self.linear(f"blocks.{block}.mlp.fc1", normed)))

    def block(self, block: int, x: torch.Tensor) -> torch.Tensor:
        x = self.attended(block, x)
        normed = self.layer_norm(f"blocks.{block}.norm2", x)
        return x + self.own[f"blocks.{block}.ls2.gamma"] * self.mlp(block, normed)

    def embedded(self, images: torch.Tensor) -> torch.Tensor:
        """The tokens before the first block, (b, 1 + registers + n, width)."""
        own = self.own
        patches = F.conv2d(normalised(images), own["patch_embed.proj.weight"], own["patch_embed.proj.bias"], stride=14)
        grid = own["pos_embed"][0, 1:].view(37, 37, self.width)
        rows, columns = (sampling(side) for side in patches.shape[-2:])
        patches = patches.permute(0, 2, 3, 1) + torch.einsum("hi,ijc,wj->hwc", rows, grid, columns)
        first = [own["cls_token"] + own["pos_embed"][:, :1]]
        first += [own["register_tokens"]] if "register_tokens" in own else []
        return torch.cat([torch.cat(first, dim=1).expand(len(images), -1, -1), patches.flatten(1, 2)], dim=1)


def dinov2_tokens(state: State, prefix: str, images: torch.Tensor, norm: bool = True) -> torch.Tensor:
    """DINOv2's forward pass: (b, 1 + n, width), the class token first; without the last normalisation on demand."""
    plain = PlainDINOv2(state, prefix)
    x = plain.embedded(images)
    for block in range(plain.depth):
        x = plain.block(block, x)
    return plain.layer_norm("norm", x) if norm else x


def sampling(side: int, original: int = 37) -> torch.Tensor:
    """DINOv2's resampling of positions as a matrix (side, original): Keys's cubic with a = -3/4, repeated borders, and
    a step of original / (side + 0.1), as its authors have it."""
    matrix = torch.zeros(side, original)
    if side == original:
        return torch.eye(original)
    for row in range(side):
        at = (row + 0.5) * original / (side + 0.1) - 0.5
        for column in range(math.floor(at) - 1, math.floor(at) + 3):
            t = abs(at - column)
            near = 1.25 * t**3 - 2.25 * t**2 + 1
            far = -0.75 * (t**3 - 5 * t**2 + 8 * t - 4)
            matrix[row, min(max(column, 0), original - 1)] += near if t <= 1 else far
    return matrix


def perceptron(state: State, name: str, x: torch.Tensor) -> torch.Tensor:
    """Two linear layers at `name`, on the last dimension; 1x1 convolutions are the same."""
    last = max(int(key.removeprefix(name).split(".")[1]) for key in state if key.startswith(f"{name}."))
    hidden = (x @ state[f"{name}.0.weight"].flatten(1).T + state[f"{name}.0.bias"]).clamp(min=0)
    return hidden @ state[f"{name}.{last}.weight"].flatten(1).T + state[f"{name}.{last}.bias"]


def with_biases(weights: Shapes) -> Shapes:
    """Adds a bias for each weight."""
    return weights | {name.removesuffix("weight") + "bias": shape[:1] for name, shape in weights.items()}


def attention_shapes(name: str, width: int) -> Shapes:
    """PyTorch's multi-head attention."""
    shapes = {f"{name}.in_proj_weight": (3 * width, width), f"{name}.in_proj_bias": (3 * width,)}
    return shapes | with_biases({f"{name}.out_proj.weight": (width, width)})


def multi_head(state: State, name: str, asking: torch.Tensor, asked: torch.Tensor, heads: int) -> torch.Tensor:
    """PyTorch's multi-head attention, head by head, of (b, q, width) to (b, n, width)."""
    (wq, wk, wv), (bq, bk, bv) = (state[f"{name}.in_proj_{part}"].chunk(3) for part in ("weight", "bias"))
    q, k, v = asking @ wq.T + bq, asked @ wk.T + bk, asked @ wv.T + bv
    size = q.shape[-1] // heads
    parts = [slice(head * size, (head + 1) * size) for head in range(heads)]
    mixed = [(q[..., p] @ k[..., p].mT / math.sqrt(size)).softmax(-1) @ v[..., p] for p in parts]
    return torch.cat(mixed, dim=-1) @ state[f"{name}.out_proj.weight"].T + state[f"{name}.out_proj.bias"]


def cross_image_shapes(width: int) -> Shapes:
    """The encoder over the images of a batch, with hidden layers of 2048."""
    shapes: Shapes = {}
    for layer in ("encoder.layers.0", "encoder.layers.1"):
        shapes |= attention_shapes(f"{layer}.self_attn", width)
        weights = {"linear1": (2048, width), "linear2": (width, 2048), "norm1": (width,), "norm2": (width,)}
        shapes |= with_biases({f"{layer}.{name}.weight": shape for name, shape in weights.items()})
    return shapes


def cross_image(state: State, parts: torch.Tensor) -> torch.Tensor:
    """The same part of all images attends to each other: (images, parts, width) to the same shape."""
    width = parts.shape[-1]
    x = parts.transpose(0, 1)
    for name in ("encoder.layers.0", "encoder.layers.1"):
        own = {key.removeprefix(f"{name}."): value for key, value in state.items() if key.startswith(f"{name}.")}
        norms = [(own[f"norm{n}.weight"], own[f"norm{n}.bias"]) for n in (1, 2)]
        x = F.layer_norm(x + multi_head(own, "self_attn", x, x, heads=16), (width,), *norms[0])
        hidden = F.gelu(x @ own["linear1.weight"].T + own["linear1.bias"])
        x = F.layer_norm(x + hidden @ own["linear2.weight"].T + own["linear2.bias"], (width,), *norms[1])
    return x.transpose(0, 1)


def released(state: State) -> dict[str, object]:
    """A checkpoint as the authors of CricaVPR, SuperVLAD, EDTformer and ImAge publish them."""
    tensors = {f"module.{name}": value for name, value in state.items()}
    return {"epoch_num": 1, "model_state_dict": tensors, "recalls": np.array([1.0, 2.0]), "best_r5": np.float64(2)}


def salad_shapes(prefix: str, width: int = 768, cluster_dim: int = 128) -> Shapes:
    """SALAD's aggregator with 64 clusters and 256 numbers of the class token."""
    shapes = {"dust_bin": ()}
    for name, outputs, kernel in (
        ("token_features", 256, ()),
        ("cluster_features", cluster_dim, (1, 1)),
        ("score", 64, (1, 1)),
    ):
        last = 2 if name == "token_features" else 3
        shapes |= {f"{name}.0.weight": (512, width, *kernel), f"{name}.0.bias": (512,)}
        shapes |= {f"{name}.{last}.weight": (outputs, 512, *kernel), f"{name}.{last}.bias": (outputs,)}
    return {prefix + name: shape for name, shape in shapes.items()}


def salad_vectors(state: State, prefix: str, tokens: torch.Tensor) -> torch.Tensor:
    """SALAD's descriptors of (b, 1 + n, width), with Sinkhorn's plan as plain scaling of rows and columns."""
    descriptors = []
    for image in tokens:
        scores = perceptron(state, f"{prefix}score", image[1:]).T
        clusters, positions = scores.shape
        plan = torch.cat([scores, state[f"{prefix}dust_bin"].expand(1, positions)]).double().exp()
        masses = torch.tensor([1.0] * clusters + [positions - clusters], dtype=torch.float64)
        for _ in range(3):
            plan = plan * (masses / plan.sum(1))[:, None]
            plan = plan / plan.sum(0)
        vectors = perceptron(state, f"{prefix}cluster_features", image[1:]).T @ plan[:-1].T.float()
        token = perceptron(state, f"{prefix}token_features", image[0])
        parts = torch.cat([token / token.norm(), (vectors / vectors.norm(dim=0)).flatten()])
        descriptors.append(parts / parts.norm())
    return torch.stack(descriptors)
