"""Settings of app.py."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from commons.errors import UsageError
from flags import values
from flags.localize import AerialSettings, LocateSettings, check_aerial, check_locate
from flags.parsers import make_parser
from flags.run import DeviceSettings
from flags.settings import build, setting


def port(text: str) -> int:
    if values.natural(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text} is out of range, must be at most 65535")
    return int(text)


@dataclass(frozen=True)
class AppSettings:
    """The settings of app.py."""

    @dataclass(frozen=True)
    class Page:
        """Page"""

        host: str = setting(
            "127.0.0.1",
            "address to listen on; the default accepts connections from this machine only, 0.0.0.0 from the network "
            "as well",
            metavar="ADDRESS",
        )
        port: int = setting(8000, "port to listen on; 0 for a free one", port, metavar="N")
        allowed_hosts: list[str] = setting(
            [],
            "additional host names of the page, such as that of a reverse proxy; IP addresses and localhost are "
            "always allowed",
            metavar="NAME",
            nargs="+",
        )
        examples: str | None = setting(
            None, "folder of photos; the page offers up to 8 of them as examples", metavar="DIR"
        )
        top_k: int = setting(5, "number of positions for each photo", values.positive, metavar="K")

    @dataclass(frozen=True)
    class Limits:
        """Limits"""

        max_megabytes: float = setting(
            20.0, "maximum size of an upload in megabytes", values.positive_float, metavar="X"
        )
        max_megapixels: float = setting(
            50.0,
            "maximum size of a JPEG in megapixels; half of it for PNG and WebP",
            values.positive_float,
            metavar="X",
        )
        max_waiting: int = setting(
            16, "maximum number of photos that are received, queued or processed at once; more get status 503",
            values.positive, metavar="N",
        )  # fmt: skip
        timeout: float = setting(
            30.0, "time limit in seconds, for an upload and for the answer to a photo", values.positive_float,
            metavar="X",
        )  # fmt: skip

    page: Page = field(default_factory=Page)
    network: LocateSettings = field(default_factory=LocateSettings)
    aerial: AerialSettings = field(default_factory=AerialSettings)
    limits: Limits = field(default_factory=Limits)
    run: DeviceSettings = field(default_factory=DeviceSettings)


def parse_app_settings(arguments: Sequence[str] | None = None) -> AppSettings:
    """Reads and checks the flags of app.py; without --resume_model, the network of the demo country is used.

    Raises:
        UsageError: if a flag is wrong.
    """
    parser = make_parser("app.py", "Serve a web page that finds where photos were taken.", AppSettings)
    args = parser.parse_args(arguments)
    if args.resume_model or args.database or args.reference:
        check_locate(args)
    else:
        check_aerial(args)
        for name in ("index", "index_options", "calibration", "answer", "decoder", "image_size"):
            if getattr(args, name):
                raise UsageError(f"--{name} needs --resume_model, the network to which it applies")
    if args.examples is not None and not Path(args.examples).is_dir():
        raise UsageError(f"--examples {args.examples}: there is no such folder")
    return build(AppSettings, vars(args))
