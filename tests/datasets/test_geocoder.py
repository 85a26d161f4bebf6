"""Addresses from a server, which here is a thread of the test."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from commons.errors import ArgumentError, PlacewiseError
from datasets import geocoder
from datasets.geocoder import PUBLIC, USER_AGENT, Geocoder


class Server(HTTPServer):
    """Answers with the degrees that it is asked for, and keeps requests with their times.

    Attributes:
        asked: paths, User-Agents and times.
        answers: status and body by latitude, instead of the usual ones.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str, float]] = []
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers["User-Agent"], time.monotonic()))
        given = parse_qs(urlsplit(self.path).query)
        usual = json.dumps({"display_name": f"Road {given['lat'][0]}, Town {given['lon'][0]}"}).encode()
        status, body = self.server.answers.get(given["lat"][0], (200, usual))
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.serve_forever, args=(0.02,))
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geocoder, "INTERVAL", 0.0)


def test_each_position_is_asked_for_once_with_our_name(server: Server, tmp_path: Path, quick: None):
    asking = Geocoder(f"{server.url}/", tmp_path)
    places = [(10.5, -20.25), (1.0, 2.0), (10.500001, -20.25)]
    wanted = ["Road 10.5, Town -20.25", "Road 1.0, Town 2.0", "Road 10.5, Town -20.25"]
    assert asking.addresses(places) == wanted
    assert len(server.asked) == 2 and {agent for _, agent, _ in server.asked} == {USER_AGENT}
    path = urlsplit(server.asked[0][0])
    assert path.path == "/reverse" and parse_qs(path.query)["format"] == ["jsonv2"]
    assert Geocoder(server.url, tmp_path).addresses(places) == wanted  # of the cache on disk
    assert len(server.asked) == 2


def test_a_second_passes_between_two_requests_of_any_geocoder(server: Server, tmp_path: Path):
    Geocoder(server.url, tmp_path).addresses([(1.0, 2.0)])
    Geocoder(server.url, tmp_path).addresses([(3.0, 4.0)])
    first, second = (at for _, _, at in server.asked)
    assert 0.95 < second - first < 10


def test_what_the_server_does_not_know_is_empty_and_not_asked_again(server: Server, tmp_path: Path, quick: None):
    server.answers = {"5.0": (200, b'{"error": "Unable to geocode"}'), "6.0": (200, b"[]")}
    for _ in range(2):
        assert Geocoder(server.url, tmp_path).addresses([(5.0, 1.0), (6.0, 1.0)]) == ["", ""]
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("answer", "message"), [((429, b""), "answers 429 Too Many Requests"), ((200, b"<html>"), "gave no valid answer")]
)
def test_failures_end_in_one_line_and_keep_what_has_arrived(
    server: Server, tmp_path: Path, quick: None, answer: tuple[int, bytes], message: str
):
    server.answers = {"7.0": answer}
    with pytest.raises(PlacewiseError, match=message):
        Geocoder(server.url, tmp_path).addresses([(1.0, 2.0), (7.0, 0.0)])
    assert Geocoder(server.url, tmp_path).addresses([(1.0, 2.0)]) == ["Road 1.0, Town 2.0"]
    assert len(server.asked) == 2


def test_a_server_that_is_not_there(tmp_path: Path, quick: None):
    with pytest.raises(PlacewiseError, match="http://127.0.0.1:9 gave no valid answer"):
        Geocoder("http://127.0.0.1:9", tmp_path).addresses([(1.0, 2.0)])


def test_the_public_server_is_not_asked_in_bulk(tmp_path: Path):
    with pytest.raises(PlacewiseError, match="101 positions exceed the limit of 100"):
        Geocoder(PUBLIC, tmp_path).addresses([(float(row) / 10, 0.0) for row in range(101)])
    for wrong in ("photo.jpg", "ftp://host", "http://"):
        with pytest.raises(ArgumentError, match=f"{wrong} is not a URL"):
            Geocoder(wrong, tmp_path)
