"""As tests.small_shards, and the last process kills itself before its second shard."""

import os
import signal

from tasks import database_building
from tests import small_shards  # noqa: F401

write, written = database_building.write_part, []


def write_one(*given: object) -> object:
    last = os.environ.get("RANK", "0") == str(int(os.environ.get("WORLD_SIZE", 1)) - 1)
    if last and written:
        os.kill(os.getpid(), signal.SIGKILL)
    written.append(write(*given))
    return written[-1]


database_building.write_part = write_one
