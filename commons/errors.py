"""Errors that programs print as one line: what is wrong, where, and how to correct it."""

import errno
import logging
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

from commons.signals import end_workers


class PlacewiseError(Exception):
    """An error outside the code, such as in data, a checkpoint or on the disk. Exit code 1."""

    exit_code = 1


class UsageError(PlacewiseError):
    """A flag or a combination of flags is wrong. Exit code 2."""

    exit_code = 2


class ArgumentError(UsageError, ValueError):
    """An argument of a function is wrong. A program prints it as `--argument: message`.

    Libraries name parameters instead of flags. Other parameters in the message are between backticks, such as
    ArgumentError("fc_init", "pca needs a linear layer: set `fc_output_dim` above 0"). Programs print them as flags
    (`in_flags`).
    """

    def __init__(self, argument: str, message: str) -> None:
        super().__init__(argument, message)
        self.argument, self.message = argument, message

    def __str__(self) -> str:
        return f"`{self.argument}`: {self.message}"


def in_flags(text: str) -> str:
    """Replaces parameters between backticks by flags: "lower `batch_size`" becomes "lower --batch_size"."""
    return re.sub(r"`(\w+)`", r"--\1", text)


OUT_OF_MEMORY = (
    "out of memory: lower `batch_size` (training) or `infer_batch_size` (evaluation), "
    "or `image_size` with `resize_test_imgs`"
)


def run(main: Callable[[], None]) -> None:
    """Calls `main` and turns errors that a user can correct into one line on stderr and an exit code."""
    try:
        main()
    except PlacewiseError as error:
        # An error of a loader's worker has the traceback of the worker before its message.
        _leave(str(error).rpartition(f"{type(error).__name__}: ")[2], error.exit_code)
    except KeyboardInterrupt:
        _leave("stopped", 130)
    except (OSError, RuntimeError, MemoryError) as error:
        line = _environment_problem(error)
        if line is None:
            logging.getLogger().debug("unexpected error", exc_info=True)
            raise
        _leave(line, 1)
    finally:
        end_workers()


def first_line(error: BaseException) -> str:
    """Returns the first line of an error's message, cut to 160 characters, or its type if it has none."""
    lines = str(error).strip().splitlines()
    return lines[0][:160] if lines else type(error).__name__


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Returns " (did you mean ...?)" with the known name that is most similar to a wrong one, "" if there is none."""
    close = get_close_matches(name, known, n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _environment_problem(error: BaseException) -> str | None:
    """Returns a line about a full disk, missing permissions or missing memory; None for all other errors (bugs)."""
    text = str(error)
    if "DataLoader worker" in text and "killed" in text:
        return f"a decoding process was killed, probably out of memory: lower --num_workers ({first_line(error)})"
    no_memory = ("can't allocate memory", "out of memory", "not enough memory")
    if isinstance(error, MemoryError) or any(words in text for words in no_memory):
        return OUT_OF_MEMORY
    if type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
        return f"--compile: this network cannot be compiled here ({first_line(error)}); leave it out"
    # torch.save reports a full disk without errno.
    if "PytorchStreamWriter failed" in text or "unexpected pos" in text:
        return "a checkpoint cannot be written; if the disk is full, free some space or choose another --output_folder"
    if not isinstance(error, OSError):
        return None
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full: free some space or choose another --output_folder ({error.filename or error})"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"no permission to write or read {error.filename}: choose another --output_folder or data folder"
    return f"{error.filename}: {error.strerror}" if error.filename and error.strerror else None


def _leave(line: str, exit_code: int) -> None:
    logging.getLogger().debug("the run ended with an error", exc_info=True)
    print(f"error: {in_flags(' '.join(line.split()))}", file=sys.stderr, flush=True)
    sys.exit(exit_code)


def stopped(checkpoint_file: str | Path) -> PlacewiseError:
    """Returns the error of a run that is stopped after its state was saved."""
    return PlacewiseError(f"stopped: continue with python train.py --resume_train {checkpoint_file}")


@contextmanager
def stopping_tells(checkpoint_file: str | Path) -> Iterator[None]:
    """Within this context, a signal that stops the run raises `stopped`, which names the command to continue."""
    try:
        yield
    except KeyboardInterrupt:
        raise stopped(checkpoint_file) from None
