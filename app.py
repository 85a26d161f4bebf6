"""Serves a web page that finds where photos were taken.

python app.py [--resume_model FILE] [--database DIR]
python app.py --reference DIR
"""

from commons.errors import run
from flags.app import AppSettings, parse_app_settings

# The imports below take seconds; --help and mistakes on the command line are answered before.
SETTINGS = run(parse_app_settings) if __name__ == "__main__" else None

import errno
import socket
from pathlib import Path

from commons import devices
from commons.errors import ArgumentError, PlacewiseError
from commons.logging import setup_logging
from datasets.listing import find_images
from tasks.locating import LocatorOptions, open_locator
from web.demo import Demo, demo_network, evenly

INSTALL = "app.py needs additional packages: pip install -r requirements-app.txt"
MOST_CONNECTIONS = 256


def main(settings: AppSettings | None = None) -> None:
    """Entry point."""
    settings = settings or SETTINGS or parse_app_settings()
    page, network, limits = settings.page, settings.network, settings.limits
    setup_logging(quiet=True)
    devices.keep_freed_memory()
    try:
        import uvicorn

        from web.answers import Finder
        from web.jobs import Jobs
        from web.pictures import Pictures
        from web.places import Regions
        from web.server import make_server
        from web.uploads import PhotoLimits
    except ModuleNotFoundError as error:
        raise PlacewiseError(f"{INSTALL} ({error.name} is missing)") from error
    with listening(page.host, page.port) as listener:
        demo = None if network.resume_model or settings.aerial.reference else demo_network()
        options = LocatorOptions(
            database=network.database, index=network.engine, calibration=network.calibration, answer=network.answer,
            decoder=network.decoder, image_size=network.image_size, precision=settings.run.precision,
            aerial=settings.aerial.options(),
        )  # fmt: skip
        paths = [str(demo.checkpoint)] if demo else network.resume_model
        locator = open_locator(paths, devices.make_accelerator(settings.run.device), options)
        pictures = Pictures()
        regions = Regions(demo.areas) if demo and demo.areas else None
        most = PhotoLimits(round(limits.max_megabytes * 1e6), round(limits.max_megapixels * 1e6))
        finder = Finder(locator, most, page.top_k, pictures, regions)
        finder.warm_up()
        examples = [pictures.add(photo) for photo in example_photos(page.examples, demo)]
        server = make_server(finder, Jobs(limits.max_waiting, limits.timeout), examples, page.allowed_hosts)
        listener.listen(MOST_CONNECTIONS)
        print(f"The page is at {address_of(listener)} (Ctrl+C to stop)", flush=True)
        uvicorn.Server(
            uvicorn.Config(
                server, ws="none", log_level="warning", access_log=False, server_header=False,
                proxy_headers=False, limit_concurrency=MOST_CONNECTIONS, timeout_graceful_shutdown=5,
            )
        ).run([listener])  # fmt: skip


def listening(host: str, port: int) -> socket.socket:
    """Returns a socket that listens on the address, so that errors are reported before the network is loaded.

    Raises:
        ArgumentError: if the address cannot be used.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        own = socket.socket(family, kind, protocol)
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        own.bind(address)
    except OSError as error:
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            raise ArgumentError("host", f"{host} is not an address of this machine") from error
        raise ArgumentError("port", f"{host}:{port} cannot be used ({error.strerror}); choose another port") from error
    return own


def address_of(listener: socket.socket) -> str:
    """Returns the address of the page for a browser on this machine."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def example_photos(folder: str | None, demo: Demo | None) -> list[Path]:
    """Returns the photos that the page offers."""
    if folder is not None:
        return evenly([Path(folder) / name for name in find_images(Path(folder)).names])
    return evenly(demo.photos) if demo else []


if __name__ == "__main__":
    run(main)
