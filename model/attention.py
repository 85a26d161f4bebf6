"""What a network looks at: attention rollout of vision transformers, and Grad-CAM of any feature map."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from commons.errors import ArgumentError


def rollout(backbone: nn.Module, images: torch.Tensor, class_token: bool = True) -> torch.Tensor:
    """Returns how much of each patch arrives in the output of a vision transformer (https://arxiv.org/abs/2005.00928).

        R_0 = I,    R_l = (mean over heads of A_l + I) / 2  R_{l-1}

    A_l is the attention of layer l, whose rows sum up to 1, and I stands for the residual connection. Returned is the
    row of the class token in R after the last layer, or the mean of the patches' rows, without columns of other tokens.

    Memory is that of a forward pass and of a few matrices (b, heads, tokens, tokens).

    Args:
        backbone: a ViT of `model.backbones`, torchvision's or timm's, DINOv2 and DINOv3 included, in evaluation mode.
        images: float (b, 3, h, w), normalised as the backbone needs it.
        class_token: whether to follow the class token, for networks that use it; others pool the patches, and so does a
            backbone without a class token.

    Returns:
        float32 (b, h', w'), not negative; with registers or a class token it sums up to less than 1.

    Raises:
        ArgumentError: if the backbone has no layers of attention over all patches, as convolutional networks and Swin.
    """
    full = torch.autocast(images.device.type, enabled=False)
    with torch.no_grad(), full, _AttentionProduct() as product:
        height, width = backbone(images).shape[-2:]
    matrix, patches = product.matrix, height * width
    others = -1 if matrix is None else matrix.shape[-1] - patches
    if product.uneven or others < 0 or len(matrix) != len(images):
        raise ArgumentError(
            "backbone",
            "attention rollout needs attention over all patches, as in ViTs, which this backbone does not have; use "
            "Grad-CAM",
        )
    # The class token and registers come before the patches in all these models.
    with_class = class_token and others > 0 and getattr(backbone, "has_class_token", False)
    rows = matrix[:, 0] if with_class else matrix[:, others:].mean(dim=1)
    return rows[:, others:].unflatten(1, (height, width))


class _AttentionProduct(TorchFunctionMode):
    """Multiplies the attentions of all layers that are called within it.

    timm computes attention by `F.scaled_dot_product_attention`, after queries and keys are normalised and positions are
    rotated into them; torchvision by `F.multi_head_attention_forward`, as its fused layers are off within such a mode.

    Attributes:
        matrix: float32 (b, tokens, tokens), None before the first call.
        uneven: whether a layer had another number of tokens or images than the first one, or attends to other tokens
            than its own.
    """

    def __init__(self) -> None:
        super().__init__()
        self.matrix: torch.Tensor | None = None
        self.uneven = False

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.multi_head_attention_forward:
            output, attention = func(*args, **kwargs | {"need_weights": True, "average_attn_weights": True})
            self._multiply(attention)
            return output, attention
        if func is F.scaled_dot_product_attention:
            self._multiply(_mean_attention(*args, **kwargs))
        return func(*args, **kwargs)

    def _multiply(self, attention: torch.Tensor | None) -> None:
        """Adds a layer by the mean of its attention over heads, (b, tokens, tokens), None for another kind of layer."""
        first = self.matrix is None
        if attention is None or attention.ndim != 3 or not (first or attention.shape == self.matrix.shape):
            self.uneven = True
            return
        step = (attention.float() + torch.eye(attention.shape[-1], device=attention.device)) / 2
        self.matrix = step if first else step @ self.matrix


def _mean_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> torch.Tensor | None:
    """Returns softmax(query key^T scale) of a call of `F.scaled_dot_product_attention`, the mean over heads.

    Returns:
        (b, tokens, tokens); None if it is not attention of all tokens among themselves.
    """
    if query.ndim != 4 or key.shape != query.shape or is_causal:
        return None
    logits = query.float() @ key.float().transpose(-2, -1) * (query.shape[-1] ** -0.5 if scale is None else scale)
    if attn_mask is not None:
        logits = logits.masked_fill(~attn_mask, -torch.inf) if attn_mask.dtype == torch.bool else logits + attn_mask
    return logits.softmax(dim=-1).mean(dim=1)


def grad_cam(
    features: torch.Tensor, scores: Callable[[torch.Tensor], torch.Tensor], classes: torch.Tensor
) -> torch.Tensor:
    """Returns which positions of a feature map speak for a class (Grad-CAM, https://arxiv.org/abs/1610.02391).

        L = ReLU(sum_k alpha_k A^k),    alpha_k = mean over positions of d y_c / d A^k

    A^k is channel k of the map and y_c the score of class c before the softmax. The gradient ends at the map, so a
    frozen backbone works, and no parameter gets a gradient.

    Args:
        features: last feature map of a backbone, (b, channels, h', w').
        scores: maps it to the scores of classes, (b, classes), each image by itself (the network in evaluation mode).
        classes: the class of each image, int64 (b,).

    Returns:
        float32 (b, h', w'), not negative.
    """
    with torch.inference_mode(False), torch.enable_grad():
        features = features.detach().float().clone().requires_grad_()
        chosen = scores(features).gather(1, classes.clone()[:, None])
        (gradient,) = torch.autograd.grad(chosen.sum(), features)
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    return (weights * features.detach()).sum(dim=1).relu()
