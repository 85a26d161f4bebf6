import errno

import pytest
import torch
from torch._utils import ExceptionWrapper

from commons.errors import PlacewiseError, UsageError, run


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (UsageError("--x is wrong"), 2, "--x is wrong"),
        (PlacewiseError("broken\n file"), 1, "broken file"),
        (torch.OutOfMemoryError("CUDA out of memory"), 1, "--batch_size"),
        (MemoryError(), 1, "--infer_batch_size"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), 1, "--batch_size"),
        (OSError(errno.ENOSPC, "No space left on device", "x.pth"), 1, "disk is full"),
        (PermissionError(errno.EACCES, "denied", "/root/x"), 1, "/root/x"),
        (RuntimeError("[enforce fail at inline_container.cc] . PytorchStreamWriter failed writing file"), 1, "disk"),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Bus error."), 1, "--num_workers"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "x/y"), 1, "x/y: Not a directory"),
        (KeyboardInterrupt(), 130, "stopped"),
    ],
)
def test_one_line_and_exit_code(error: BaseException, code: int, words: str, capsys: pytest.CaptureFixture):
    def main() -> None:
        raise error

    with pytest.raises(SystemExit) as exit_:
        run(main)
    assert exit_.value.code == code
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert printed.startswith("error: ")
    assert words in printed


def test_an_error_in_a_worker_is_one_line_too(capsys: pytest.CaptureFixture):
    def main() -> None:
        try:
            raise PlacewiseError("x.pack is damaged")
        except PlacewiseError:
            caught = ExceptionWrapper(where="in DataLoader worker process 0")
        caught.reraise()

    with pytest.raises(SystemExit):
        run(main)
    assert capsys.readouterr().err == "error: x.pack is damaged\n"


def test_bugs_are_not_hidden():
    def main() -> None:
        raise RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match="shape mismatch"):
        run(main)
