"""Models of timm as backbones."""

import inspect
import re

import timm
import torch
from timm.models import group_parameters
from torch import nn

from commons.errors import ArgumentError, first_line
from model.backbones.adapters import FACETS, AttentionFacet, Change
from model.backbones.common import IMAGENET_MEAN, IMAGENET_STD, Blocks, SizedBackbone, check_block, map_channels
from model.backbones.dinov2 import keep_positions

# For the few models that do not define groups of layers.
GROUPS = {
    "stem": r"^(?:stem|patch_embed|pos_embed|cls_token)",
    "blocks": [(r"^(?:stages|dense_stages|transformers)\.(\d+)", None), (".", (99999,))],
}


class TimmBackbone(SizedBackbone):
    """Any timm model. Tokens are reshaped to a feature map, without class token and registers.

    Attributes:
        added: names of tensors that timm's model does not have.
    """

    def __init__(self, name: str, cut_after: str | None = None, change: Change | None = None) -> None:
        super().__init__()
        try:
            options = _size_options(name)
            self.model = timm.create_model(name, pretrained=False, num_classes=0, global_pool="", **options)
        except (AssertionError, TypeError, ValueError, RuntimeError) as error:
            raise ArgumentError(
                "backbone", f"timm:{name} cannot be built without its classifier ({first_line(error)}); choose another"
            ) from error
        if "dinov2" in name and self.model.reg_token is None:
            keep_positions(self.model)
        own = set(self.model.state_dict())
        first = change(self.model) if change else 0
        self.added = {f"model.{key}" for key in self.model.state_dict() if key not in own}
        config = self.model.pretrained_cfg
        self.mean, self.std = tuple(config.get("mean", IMAGENET_MEAN)), tuple(config.get("std", IMAGENET_STD))
        fixed = config.get("fixed_input_size", False) and not options
        self.fixed_size = list(config["input_size"][1:]) if fixed else None
        patch = getattr(getattr(self.model, "patch_embed", None), "patch_size", 1)
        self.patch = patch[0] if isinstance(patch, tuple) else patch
        self.channels_last = getattr(self.model, "output_fmt", "NCHW") == "NHWC"
        # The class token, if there is one, and the registers come before the positions.
        self.prefix = first + getattr(self.model, "num_prefix_tokens", 0)
        self.class_tokens = first or 1
        self.has_class_token = self.prefix > 0 and getattr(self.model, "cls_token", None) is not None
        self._blocks = _block_names(self.model)
        # The stem and half of the stages, as CosPlace does in ResNets and EfficientNets.
        self.frozen_blocks = (len(self._blocks) + 2) // 2
        last, facet = _without_facet(cut_after)
        if last is not None:
            check_block("cut_after", last, list(self._blocks)[1:])
        try:
            if last is not None:
                self._blocks = _cut(self.model, self._blocks, last)
                # In these models only the last blocks use the class token.
                late = hasattr(self.model, "blocks_token_only") or hasattr(self.model, "cls_attn_blocks")
                self.has_class_token = self.has_class_token and not late
            if facet is not None:
                self.model.blocks[-1] = AttentionFacet(self.model.blocks[-1], facet)
                there = {key for key, _ in self.model.named_parameters()}
                self._blocks[last] = [key for key in self._blocks[last] if key in there]
            about = (f"timm:{name}", cut_after, change)
            self.channels = map_channels(self, about, *config["input_size"][1:])
        except (AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
            after = f" after {cut_after}" if cut_after else ""
            raise ArgumentError(
                "backbone",
                f"timm:{name} has no feature map{after} ({first_line(error)}); choose another "
                f"{'`cut_after`, or another ' if cut_after else ''}backbone",
            ) from error

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.sized(x)
        features = self.model.forward_features(x)
        if features.ndim == 3:
            tokens = features[:, self.prefix :]
            height, width = (side // self.patch for side in x.shape[-2:])
            while height * width > tokens.shape[1]:
                height, width = -(-height // 2), -(-width // 2)
            return tokens.transpose(1, 2).unflatten(2, (height, width))
        return features.permute(0, 3, 1, 2) if self.channels_last else features

    def tokens(self, x: torch.Tensor) -> torch.Tensor:
        """Maps images to (b, channels, class_tokens + h * w), class tokens first, without registers."""
        features = self.model.forward_features(self.sized(x))
        return torch.cat([features[:, : self.class_tokens], features[:, self.prefix :]], dim=1).transpose(1, 2)

    def blocks(self) -> Blocks:
        """Parameters of timm's coarse layer groups by name: the stem, then stages or blocks."""
        parameters = dict(self.model.named_parameters())
        return {name: [parameters[key] for key in keys] for name, keys in self._blocks.items()}


def _without_facet(cut_after: str | None) -> tuple[str | None, str | None]:
    """Returns the block of `cut_after`, and which of FACETS of it; None for what is not given."""
    block, _, facet = (cut_after or "").rpartition(".")
    return (block, facet) if facet in FACETS else (cut_after, None)


def _size_options(name: str) -> dict[str, bool]:
    """Options that let a timm model take images of any size, where it has them."""
    with torch.device("meta"):
        model_class = type(timm.create_model(name, pretrained=False))
    known = inspect.signature(model_class.__init__).parameters
    wanted = {"dynamic_img_size": True, "strict_img_size": False}
    return {option: value for option, value in wanted.items() if option in known}


def _block_names(model: nn.Module) -> dict[str, list[str]]:
    """Names timm's coarse layer groups after their modules, and gives the names of their parameters."""
    try:
        matcher = model.group_matcher(coarse=True)
    except (AttributeError, AssertionError):
        matcher = GROUPS
    numbers = group_parameters(model, matcher, reverse=True)
    groups: dict[int, list[str]] = {}
    for key, number in numbers.items():
        groups.setdefault(number, []).append(key)
    stem, *blocks = (groups[number] for number in sorted(groups))
    # A final normalisation or convolution belongs to the last block.
    while len(blocks) > 2 and not _kinds(blocks[-1]) & _kinds(sum(blocks[:-1], [])):
        blocks[-2:] = [blocks[-2] + blocks[-1]]
    short = [_path(keys[0], 1) for keys in blocks]
    names = [name if short.count(name) == 1 else _path(keys[0], 2) for name, keys in zip(short, blocks, strict=True)]
    return {"stem": stem} | dict(zip(names, blocks, strict=True))


def _path(key: str, numbers: int) -> str:
    """Returns the path of a parameter's module down to its first numbers: blocks.3, layer1, Mixed_6b."""
    found = re.match(rf"(?:.*?\d[^.]*){{{numbers}}}", key)
    return found[0] if found else key.rpartition(".")[0] or key


def _kinds(keys: list[str]) -> set[str]:
    """Returns the paths of parameters up to their first number: blocks., layer."""
    return {re.split(r"\d", key, maxsplit=1)[0] for key in keys}


def _cut(model: nn.Module, blocks: dict[str, list[str]], last: str) -> dict[str, list[str]]:
    """Removes all modules after the block `last`, also those that belong to no block, and returns the other blocks."""
    names = list(blocks)
    kept = {name: blocks[name] for name in names[: names.index(last) + 1]}
    if last == names[-1]:
        others = _kinds(sum((blocks[name] for name in names[1:-1]), []))
        kept[last] = [key for key in blocks[last] if not others or _kinds([key]) <= others]
    wanted = set(sum(kept.values(), []))
    _prune(model, wanted)
    if {key for key, _ in model.named_parameters()} != wanted:
        raise ValueError("its layers are not sequential")
    return kept


def _prune(module: nn.Module, kept: set[str], prefix: str = "") -> None:
    """Removes modules without kept parameters at the end of a sequence, and replaces them by identities elsewhere."""
    children = dict(module.named_children())
    names = list(children)
    alive = [name for name in names if any(key.startswith(f"{prefix}{name}.") for key in kept)]
    dead = [name for name in names if name not in alive and any(True for _ in children[name].parameters())]
    end = names.index(alive[-1]) if alive else -1
    for number, name in enumerate(names):
        if name in alive:
            _prune(children[name], kept, f"{prefix}{name}.")
        elif dead and number > end and isinstance(module, nn.Sequential | nn.ModuleList):
            delattr(module, name)
        elif name in dead:
            kind = type(children[name])
            setattr(module, name, kind() if kind in (nn.Sequential, nn.ModuleList) else nn.Identity())
