"""CricaVPR (https://arxiv.org/abs/2402.19231), trained on GSV-Cities."""

from model.published.entry import Published, State, dinov2, rename, without_parallel

PAGE = "https://github.com/Lu-Feng/CricaVPR"
NETWORK = {
    "backbone": "DINOv2_B_MultiConv",
    "fc_output_dim": 0,
    "aggregation": "cricavpr",
    "aggregation_options": {},
}
PREFIXES = {**dinov2("backbone."), "aggregation.1.": "aggregation.gem.", "encoder.": "aggregation.encoder."}


def _convert(state: State) -> State:
    return rename(without_parallel(state), PREFIXES)


MODELS = {
    "cricavpr-dinov2-10752": Published(
        NETWORK, "CricaVPR.pth", PAGE, 224, f"{PAGE}/releases/download/v1.0/CricaVPR.pth", _convert
    )
}
