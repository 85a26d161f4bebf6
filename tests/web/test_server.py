"""The server, asked as browsers and other programs do."""

import http.client
import io
import json
import os
import socket
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.tasks.test_locating import cells, places  # noqa: F401, fixtures
from tests.web.hostile import hostile
from tests.web.serving import ask, make_finder, photo, send, serving

pytest.importorskip("fastapi", reason="needs requirements-app.txt")
pytest.importorskip("uvicorn", reason="needs requirements-app.txt")
pytestmark = pytest.mark.slow
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Opened:
    """The files that this process opens while `on`."""

    def __init__(self) -> None:
        self.on, self.paths, self.written = False, [], []
        sys.addaudithook(self._note)

    def _note(self, event: str, arguments: tuple) -> None:
        if self.on and event == "open":
            path, _, flags = arguments
            (self.written if isinstance(flags, int) and flags & WRITES else self.paths).append(str(path))


OPENED = Opened()


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


@pytest.fixture(scope="module")
def finder(cells: Path):  # noqa: F811
    return make_finder(cells)


@pytest.fixture(scope="module")
def port(finder):
    with serving(finder) as own:
        yield own


def test_an_answer_is_that_of_the_locator(finder, port: int):
    from datasets.memory_images import MemoryImages

    data = photo("PNG")
    found = send(port, data, "image/png").json
    wanted = finder.locator.locate(MemoryImages([data], finder.locator.shorter_side), 3)
    answers = found["answers"]
    assert [own["latitude"] for own in answers] == pytest.approx(wanted.latitude[0], abs=1e-5)
    assert [own["probability"] for own in answers] == pytest.approx(wanted.probability[0], abs=1e-4)
    assert all(own["similarity"] is None and own["picture"] is None and own["place"] for own in answers)
    assert sum(own["probability"] for own in found["cells"]) == pytest.approx(1, abs=1e-3)
    outline = np.array(found["cells"][0]["outline"][0][0])
    assert outline.shape[1] == 2 and (np.abs(outline[:, 0]) <= 180).all() and len(found["towns"]) >= 6
    for kind, where in (("JPEG", "image/jpeg"), ("WEBP", "application/octet-stream")):
        assert send(port, photo(kind), where).status == 200


def test_the_position_in_exif_changes_no_answer(port: int):
    exif = Image.Exif()
    exif[0x8825] = {1: "N", 2: (52.0, 0.0, 0.0), 3: "E", 4: (7.0, 0.0, 0.0)}
    with_gps, without = (send(port, photo("JPEG", **given)).json for given in ({"exif": exif}, {}))
    assert with_gps["answers"] == without["answers"]


def test_attention_is_a_picture_of_the_size_that_the_network_sees(port: int):
    answer = send(port, photo(), path="/api/attention")
    assert answer.status == 200 and answer.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(answer.body)).size == (77, 64)


def test_database_pictures_are_named_by_tokens(places: Path, city: Path):  # noqa: F811
    own = make_finder(places, city / "test" / "database", top_k=2)
    with serving(own) as port:
        query = next((city / "test" / "queries").iterdir()).read_bytes()
        answers = send(port, query).json["answers"]
        assert [own["similarity"] for own in answers] == sorted((own["similarity"] for own in answers), reverse=True)
        assert all("/" not in own["name"] and own["name"].startswith("@") for own in answers)
        assert str(city) not in json.dumps(answers)
        picture = ask(port, "GET", answers[0]["picture"])
        assert picture.status == 200 and picture.headers["content-type"] == "image/jpeg"
        for path in ("/pictures/0.jpg", "/pictures/..%2f..%2fapp.py.jpg", f"/pictures/{'a' * 24}.jpg"):
            assert ask(port, "GET", path).status == 404
        assert send(port, query, path="/api/attention").status == 200


def test_headers_of_all_answers(port: int):
    for answer in (ask(port, "GET", "/"), ask(port, "GET", "/nothing"), send(port, b""), send(port, photo()),
                   ask(port, "GET", "/page/page.js"), ask(port, "GET", "/", Host="other.example")):  # fmt: skip
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "server" not in answer.headers or answer.headers["server"] != "Placewise"
    for answer in (send(port, photo()), ask(port, "GET", "/"), ask(port, "GET", "/api/info")):
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost:8000", 200), ("127.0.0.1", 200), ("[::1]:8000", 200), ("192.168.1.5:8000", 200), ("evil.example", 403),
     ("127.0.0.1.evil.example", 403), ("localhost.evil.example:8000", 403), ("", 403), ("[", 403),
     ("evil.example@localhost", 200)],
)  # fmt: skip
def test_only_addresses_and_known_names_are_answered(port: int, host: str, status: int):
    assert ask(port, "GET", "/api/info", Host=host).status == status


def test_a_name_can_be_allowed_and_other_sites_may_not_send(finder, port: int):
    with serving(finder, names=["photos.example"]) as own:
        assert ask(own, "GET", "/", Host="photos.example:443").status == 200
        proxied = {"Host": f"127.0.0.1:{own}", "Origin": "https://photos.example"}
        assert send(own, photo(), **proxied).status == 200
    for origin in ("https://evil.example", "null", "http://localhost:1", "http://[", ""):
        assert send(port, photo(), Origin=origin).status == 403
    assert send(port, photo(), Origin=f"http://127.0.0.1:{port}").status == 200


def test_the_page_and_its_files_name_no_other_host(port: int):
    page = ask(port, "GET", "/").body.decode()
    files = [part.split('"')[0] for start in ('src="', 'href="') for part in page.split(start)[1:]]
    assert len(files) >= 7
    for name in (*files, "/api", "/page/api.js", "/page/api.css", "/openapi.json"):
        if name.startswith("#"):
            continue
        answer = ask(port, "GET", name)
        assert answer.status == 200, name
        assert b"https://" not in answer.body and b"@import" not in answer.body, name
        assert answer.body.replace(b"http://www.w3.org/2000/svg", b"").count(b"http://") == 0, name
    for path in (
        "/docs",
        "/redoc",
        "/page/../server.py",
        "/page/%2e%2e/server.py",
        "/page/..%2fserver.py",
        "//etc/passwd",
    ):
        assert ask(port, "GET", path).status == 404, path


def test_openapi_names_what_there_is(port: int):
    described = ask(port, "GET", "/openapi.json").json
    paths = {"/api/locate", "/api/attention", "/api/info", "/api/background", "/pictures/{token}.jpg"}
    assert described["paths"].keys() == paths
    assert ask(port, "GET", "/api/info").json["background"] is None
    assert ask(port, "GET", "/api/background").status == 404
    locate = described["paths"]["/api/locate"]["post"]
    assert "image/jpeg" in locate["requestBody"]["content"] and {"200", "413", "503"} <= locate["responses"].keys()


def test_two_hundred_hostile_uploads(port: int):
    uploads = hostile()
    assert len(uploads) >= 200 and len({own.name for own in uploads}) == len(uploads)
    good = send(port, photo()).json["answers"]
    before, OPENED.paths, OPENED.written = resident_mb(), [], []
    most, OPENED.on = 0.0, True
    try:
        for own in uploads:
            start = time.perf_counter()
            answer = send(port, own.data, own.kind)
            most = max(most, resident_mb() - before)
            assert answer.status in own.statuses, (own.name, answer)
            assert answer.status == 200 or 5 < len(answer.json["detail"]) < 200
            assert b"script" not in answer.body and b"passwd" not in answer.body
            assert time.perf_counter() - start < 20, own.name
    finally:
        OPENED.on = False
    assert [path for path in OPENED.written if "__pycache__" not in path] == []
    assert not [path for path in OPENED.paths if "passwd" in path or ".." in path]
    assert most < 400, most
    assert send(port, photo()).json["answers"] == good


def test_uploads_above_the_limit_are_refused_without_keeping_them(cells: Path):  # noqa: F811
    with serving(make_finder(cells, max_bytes=100_000)) as port:
        assert send(port, photo() + bytes(90_000)).status == 200
        for body in (bytes(100_001), bytes(300_000), bytes(5_000_000)):
            try:
                assert send(port, body).status == 413
            except ConnectionError:
                assert len(body) > 400_000  # more than is read before the connection is closed
        # Without a Content-Length
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        parts = (bytes(10_000) for _ in range(20))
        connection.request("POST", "/api/locate", parts, {"Content-Type": "image/jpeg"}, encode_chunked=True)
        assert connection.getresponse().status == 413
        connection.close()


def test_a_slow_upload_is_given_up_and_frees_its_place(cells: Path):  # noqa: F811
    with serving(make_finder(cells), places=1, timeout=1.0) as port:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as slow:
            lines = "POST /api/locate HTTP/1.1", "Host: localhost", "Content-Type: image/jpeg", "Content-Length: 999"
            head = "\r\n".join(lines) + "\r\n\r\n"
            slow.sendall(head.encode() + b"\xff\xd8")
            time.sleep(0.3)
            busy = send(port, photo())
            assert busy.status == 503 and busy.headers["retry-after"] == "2" and "busy" in busy.json["detail"]
            assert b" 408 " in slow.recv(100)
        assert send(port, photo()).status == 200
        with socket.create_connection(("127.0.0.1", port), timeout=20) as gone:
            gone.sendall(head.encode() + b"\xff\xd8")
        time.sleep(0.3)
        assert send(port, photo()).status == 200


def test_fifty_clients_at_once_get_answers_or_are_told_to_come_again(cells: Path):  # noqa: F811
    finder = make_finder(cells, max_bytes=3_000_000)
    bodies = [photo("PNG", seed=number) + bytes(2_900_000) for number in range(50)]
    with serving(finder, places=8) as port:
        alone = [send(port, body, "image/png").json["answers"] for body in bodies]
        before, most, done = resident_mb(), [0.0], threading.Event()

        def watch() -> None:
            while not done.wait(0.005):
                most[0] = max(most[0], resident_mb() - before)

        watcher = threading.Thread(target=watch)
        watcher.start()
        with ThreadPoolExecutor(50) as clients:
            answers = list(clients.map(lambda body: send(port, body, "image/png"), bodies))
        done.set()
        watcher.join()
        statuses = Counter(own.status for own in answers)
        assert statuses.keys() <= {200, 503} and statuses[200] >= 8, statuses
        for own, wanted in zip(answers, alone, strict=True):
            assert own.status == 503 or own.json["answers"] == wanted
            assert own.status == 200 or own.headers["retry-after"] == "2"
        assert most[0] < 120, most  # 50 uploads have 145
        assert send(port, bodies[0], "image/png").json["answers"] == alone[0]


def test_an_error_in_the_network_is_no_end(finder, port: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(finder.locator, "locate", lambda *_: 1 / 0)
    assert send(port, photo()).status == 500
    monkeypatch.undo()
    assert send(port, photo()).status == 200
