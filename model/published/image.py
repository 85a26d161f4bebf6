"""ImAge (https://arxiv.org/abs/2511.06024), trained on GSV-Cities or on five data sets together."""

from model.published.entry import Published, State, dinov2, rename, without_parallel

PAGE = "https://github.com/Lu-Feng/ImAge"
NETWORK = {
    "backbone": "DINOv2_B_reg_ImAge",
    "fc_output_dim": 0,
    "aggregation": "tokens",
    "aggregation_options": {"tokens": 8},
}
TOKENS, BLOCKS = "learnable_aggregation_tokens", "backbone.blocks."
PREFIXES = {"backbone.register_tokens": "backbone.model.reg_token", **dinov2("backbone.")}


def _convert(state: State) -> State:
    """Renames tensors, and adds the class token's position to the token: timm's networks with registers have none."""
    state = without_parallel(state)
    depth = len({name.split(".")[2] for name in state if name.startswith(BLOCKS)})
    own = f"backbone.model.blocks.{2 * depth // 3}.aggregation_tokens"  # ours belong to the block that they come before
    renamed = rename(state, {TOKENS: own, **PREFIXES})
    token, positions = "backbone.model.cls_token", "backbone.model.pos_embed"
    first, others = renamed[positions][:, :1], renamed[positions][:, 1:]
    return renamed | {token: renamed[token] + first, positions: others}


def _entry(file: str) -> Published:
    return Published(NETWORK, file, PAGE, 322, f"{PAGE}/releases/download/v1.0.0/{file}", _convert)


MODELS = {"image-merged-6144": _entry("ImAge_Merged.pth"), "image-gsv-6144": _entry("ImAge_GSV.pth")}
