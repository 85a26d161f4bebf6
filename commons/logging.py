"""Log files of a run and console output that does not tear progress bars."""

import logging
import sys
from pathlib import Path

from tqdm import tqdm


class _ConsoleHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record), file=sys.stdout)
        sys.stdout.flush()


def setup_logging(folder: Path | None) -> None:
    """Sends INFO to the console and, given a folder, INFO to info.log and everything to debug.log (both appended).

    Args:
        folder: the run's folder; None on processes other than the main one, which then stay silent but for warnings.
    """
    logger = logging.getLogger()
    logger.handlers.clear()
    logger.setLevel(logging.DEBUG)
    logging.raiseExceptions = False  # a full disk is reported once, where the run ends
    _add(logger, _ConsoleHandler(), logging.INFO if folder else logging.WARNING, "%(message)s")
    if folder:
        form = "%(asctime)s %(message)s"
        _add(logger, logging.FileHandler(folder / "info.log", encoding="utf-8"), logging.INFO, form)
        _add(logger, logging.FileHandler(folder / "debug.log", encoding="utf-8"), logging.DEBUG, form)
    for noisy in ("PIL", "matplotlib", "urllib3", "faiss", "fsspec", "asyncio", "httpx", "httpcore", "filelock"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)


def _add(logger: logging.Logger, handler: logging.Handler, level: int, form: str) -> None:
    handler.setLevel(level)
    handler.setFormatter(logging.Formatter(form))
    logger.addHandler(handler)
