"""What the fork server of tests/helpers.py imports once: importing takes longer than most runs on tiny data."""

import gc
import importlib
import io
import os
import pkgutil

os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy and PyTorch read it

import sklearn.cluster  # noqa: F401
import torch.utils.tensorboard  # noqa: F401
from matplotlib.figure import Figure

from model.network import check_network

for folder in ("flags", "losses", "methods", "reports", "tasks"):  # they import nearly everything
    for module in pkgutil.walk_packages([folder], folder + "."):
        importlib.import_module(module.name)
# What takes longer at its first time.
Figure().subplots().figure.savefig(io.BytesIO())
check_network("MobileNet_V3_Small", 16, "gem", {}, 64)
gc.freeze()
