from dataclasses import replace
from pathlib import Path

import pytest

from datasets.download.sources import ON_REQUEST, READ, SOURCES
from flags.tools import DownloadSettings
from tests.datasets.download.servers import Behaviour, serving
from tests.datasets.download.test_installing import SF_XS, sf_xs
from tools import download


def test_without_a_name_all_addresses_are_listed(capsys: pytest.CaptureFixture[str]):
    download.main(DownloadSettings())
    printed = capsys.readouterr().out
    assert READ in printed
    for source in SOURCES.values():
        assert source.address in printed
    for wanted in ON_REQUEST.values():
        assert wanted.page in printed


@pytest.mark.parametrize("name", ON_REQUEST)
def test_sets_on_request_say_where_to_ask_and_where_to_put_them(name: str, capsys: pytest.CaptureFixture[str]):
    download.main(DownloadSettings(name, "sets"))
    printed = capsys.readouterr().out
    assert ON_REQUEST[name].page in printed and str(Path("sets") / name) in printed and "{}" not in printed


def test_a_set_is_downloaded_and_the_next_command_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    with serving(Behaviour(sf_xs())) as address:
        source = replace(SOURCES["sf_xs"], kind="http", address=address, size=0, images=SF_XS)
        monkeypatch.setitem(SOURCES, "sf_xs", source)
        download.main(DownloadSettings("sf_xs", str(tmp_path)))
    printed = capsys.readouterr().out
    assert f"{tmp_path / 'sf_xs'}: 15 images" in printed
    assert f"python train.py --dataset_folder {tmp_path / 'sf_xs'} --groups_num 1" in printed
