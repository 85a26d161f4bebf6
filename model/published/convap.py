"""Conv-AP (https://arxiv.org/abs/2210.10239), trained on GSV-Cities."""

from functools import partial

from model.published.entry import Published, rename, resnet

# A folder of Google Drive; the addresses of its files are not published.
PAGE = "https://drive.google.com/drive/folders/1VYPw9uGD11NgiGFgfWueLt3noJYOIuhL"
PREFIXES = {**resnet("backbone.model."), "aggregator.": "aggregation."}


def _entry(channels: int) -> Published:
    network = {
        "backbone": "ResNet50",
        "fc_output_dim": 4 * channels,
        "aggregation": "convap",
        "aggregation_options": {"out_channels": channels, "s1": 2, "s2": 2},
    }
    file = f"resnet50_ConvAP_{channels}_2x2.ckpt"
    return Published(network, file, PAGE, 320, convert=partial(rename, prefixes=PREFIXES))


# 4096 first: the authors' own example.
MODELS = {f"convap-resnet50-{4 * channels}": _entry(channels) for channels in (1024, 2048, 512, 128)}
