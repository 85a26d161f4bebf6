"""Addresses of positions from a Nominatim server. Nothing here runs unless a user names a server."""

import http.client
import json
import os
import sqlite3
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from filelock import FileLock

from commons.errors import ArgumentError, PlacewiseError, first_line

PUBLIC = "https://nominatim.openstreetmap.org"
MOST_PUBLIC = 100  # positions that the public server is asked for; its policy forbids geocoding in bulk
USER_AGENT = "Placewise/localize.py"
TIMEOUT, LARGEST = 20, 1 << 20  # seconds, and bytes of an answer
INTERVAL = 1.0  # seconds between two requests, as the policy of the public server asks
DECIMALS = 5  # of degrees, about a metre
ATTRIBUTION = "Addresses: OpenStreetMap contributors, ODbL (https://www.openstreetmap.org/copyright)"
FAILURES = (OSError, http.client.HTTPException, ValueError)  # ValueError: an answer that is no JSON


class Geocoder:
    """Asks a server for addresses (https://nominatim.org/release-docs/latest/api/Reverse/).

    It keeps to the policy of the public server (https://operations.osmfoundation.org/policies/nominatim/): one request
    a second, over all processes that share the folder; a User-Agent; and a cache on disk, so that no position is asked
    for twice.
    """

    def __init__(self, server: str, folder: Path) -> None:
        """Args:
        server: its URL, such as PUBLIC.
        folder: folder of the cache.

        Raises:
            ArgumentError: if the URL is none of HTTP.
        """
        self.server, self.folder = server.rstrip("/"), folder
        address = urllib.parse.urlsplit(self.server)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise ArgumentError(
                "geocoder", f"{server} is not a URL, such as {PUBLIC}; photos must come before the flags"
            )
        self._public = address.hostname == urllib.parse.urlsplit(PUBLIC).hostname

    def addresses(self, degrees: Sequence[tuple[float, float]]) -> list[str]:
        """Returns the addresses of latitudes and longitudes in degrees, "" where the server knows none.

        Raises:
            PlacewiseError: if the server cannot be reached or refuses, or these are more positions than the public one
                may be asked for. Addresses that it has given are kept.
        """
        keys = [(self.server, *(round(value, DECIMALS) for value in pair)) for pair in degrees]
        self.folder.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.folder / "geocoder.sqlite", timeout=TIMEOUT)) as cache:
            cache.execute(
                "CREATE TABLE IF NOT EXISTS addresses (server TEXT, latitude REAL, longitude REAL, address TEXT, "
                "PRIMARY KEY (server, latitude, longitude))"
            )
            find = "SELECT address FROM addresses WHERE server = ? AND latitude = ? AND longitude = ?"
            known = {key: row[0] for key in set(keys) if (row := cache.execute(find, key).fetchone())}
            missing = [key for key in dict.fromkeys(keys) if key not in known]
            if self._public and len(missing) > MOST_PUBLIC:
                raise PlacewiseError(
                    f"{len(missing)} positions exceed the limit of {MOST_PUBLIC} requests to {PUBLIC}; use another "
                    "server"
                )
            for key in missing:
                known[key] = self._ask(*key[1:])
                cache.execute("INSERT OR REPLACE INTO addresses VALUES (?, ?, ?, ?)", (*key, known[key]))
                cache.commit()
        return [known[key] for key in keys]

    def _ask(self, latitude: float, longitude: float) -> str:
        wanted = {"format": "jsonv2", "lat": latitude, "lon": longitude, "accept-language": "en"}
        address = f"{self.server}/reverse?{urllib.parse.urlencode(wanted)}"
        request = urllib.request.Request(address, headers={"User-Agent": USER_AGENT})
        self._wait()
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
                found = json.loads(response.read(LARGEST))
        except urllib.error.HTTPError as error:
            raise PlacewiseError(f"{self.server} answers {error.code} {error.reason}") from error
        except FAILURES as error:
            raise PlacewiseError(f"{self.server} gave no valid answer ({first_line(error)})") from error
        name = found.get("display_name") if isinstance(found, dict) else None
        return name if isinstance(name, str) else ""

    def _wait(self) -> None:
        """Waits until a second has passed since the last request of any process."""
        stamp = self.folder / "geocoder.asked"
        with FileLock(self.folder / "geocoder.lock"):
            last = stamp.stat().st_mtime if stamp.exists() else 0.0
            time.sleep(min(max(0.0, last + INTERVAL - time.time()), INTERVAL))
            stamp.touch()
            os.utime(stamp)
