import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from commons.logging import log_to, setup_logging


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """Puts back what these tests take away."""
    logger = logging.getLogger()
    handlers, level = list(logger.handlers), logger.level
    yield
    for handler in logger.handlers:
        handler.close()
    logger.handlers[:] = handlers
    logger.setLevel(level)


def test_files_begin_with_what_was_said_before_there_was_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture):
    setup_logging()
    logging.info("early")
    logging.debug("detail")
    log_to(tmp_path)
    logging.info("late")
    assert [line[24:] for line in (tmp_path / "info.log").read_text().splitlines()] == ["early", "late"]
    assert [line[24:] for line in (tmp_path / "debug.log").read_text().splitlines()] == ["early", "detail", "late"]
    assert capsys.readouterr().out.split() == ["early", "late"]


def test_other_processes_say_warnings_only(capsys: pytest.CaptureFixture):
    setup_logging(quiet=True)
    logging.info("told by the main process")
    logging.warning("of this one")
    assert capsys.readouterr().out.split("\n") == ["of this one", ""]
