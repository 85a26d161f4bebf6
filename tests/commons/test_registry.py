import subprocess
import sys
from pathlib import Path

import pytest

from commons.registry import Registry

ROOT = Path(__file__).parents[2]
# What help texts list names from, and the registry or names in each.
LIGHT = {
    "model.aggregation": "AGGREGATIONS",
    "model.backbones": "BACKBONE_NAMES",
    "model.published": "PUBLISHED",
    "model.formats": "FORMATS",
    "losses": "LOSSES",
    "losses.self_supervised": "SELF_SUPERVISED",
    "training.adaptation": "ADAPTATIONS",
    "training.schedules": "SCHEDULES",
    "retrieval": "INDICES",
    "commons.trackers": "TRACKERS",
    "commons.options": "check_name",
}
HEAVY = ("torch", "numpy", "timm", "torchvision", "faiss", "scipy", "sklearn", "accelerate", "pytorch_metric_learning")


def test_an_entry_is_imported_when_it_is_looked_up():
    registry = Registry({"shuffle": "random:shuffle", "own": len})
    assert list(registry) == ["shuffle", "own"] and "shuffle" in registry and len(registry) == 2
    assert registry["own"] is len
    import random

    assert registry["shuffle"] is random.shuffle
    both = registry | Registry({"pi": "math:pi"})
    assert both["pi"] == 3.141592653589793 and "pi" not in registry
    with pytest.raises(KeyError):
        registry["none"]


def test_listing_names_imports_nothing_heavy():
    listing = "; ".join(f"import {module}; print(len(list({module}.{names})) if {names != 'check_name'} else 0)"
                        for module, names in LIGHT.items())  # fmt: skip
    check = f"import sys; {listing}; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("module", [module for module in LIGHT if module != "commons.options"])
def test_every_entry_exists(module: str):
    names = getattr(__import__(module, fromlist=["_"]), LIGHT[module])
    if isinstance(names, Registry):
        assert all(callable(names[name]) for name in names)
