"""Log files of a run, and console output that does not break progress bars."""

import logging
import sys
from logging.handlers import BufferingHandler
from pathlib import Path

from tqdm import tqdm

from commons.errors import in_flags

KEPT = 100_000


class _ConsoleHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record), file=sys.stdout)
        sys.stdout.flush()


class _Formatter(logging.Formatter):
    """Replaces the parameters in messages of libraries by flags."""

    def format(self, record: logging.LogRecord) -> str:
        return in_flags(super().format(record))


def setup_logging(quiet: bool = False) -> None:
    """Logs INFO to the console and buffers all records for `log_to`. If `quiet`, only warnings are logged."""
    logger = logging.getLogger()
    logger.handlers.clear()
    logger.setLevel(logging.DEBUG)
    logging.raiseExceptions = False  # a full disk is reported once, when the run ends
    _add(logger, _ConsoleHandler(), logging.WARNING if quiet else logging.INFO, "%(message)s")
    if not quiet:
        logger.addHandler(BufferingHandler(KEPT))
    for noisy in ("PIL", "matplotlib", "urllib3", "faiss", "fsspec", "asyncio", "httpx", "httpcore", "filelock"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)


def log_to(folder: Path) -> None:
    """Appends INFO to info.log and all records to debug.log of a folder, including the buffered records."""
    logger = logging.getLogger()
    (kept,) = (handler for handler in logger.handlers if isinstance(handler, BufferingHandler))
    logger.removeHandler(kept)
    for name, level in (("info.log", logging.INFO), ("debug.log", logging.DEBUG)):
        file = logging.FileHandler(folder / name, encoding="utf-8")
        _add(logger, file, level, "%(asctime)s %(message)s")
        for record in kept.buffer:
            if record.levelno >= level:
                file.handle(record)


def _add(logger: logging.Logger, handler: logging.Handler, level: int, form: str) -> None:
    handler.setLevel(level)
    handler.setFormatter(_Formatter(form))
    logger.addHandler(handler)
