"""Milvus, with a real server: pip install milvus==2.3.5 pymilvus. It is started here and ended by its process ID."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from commons.errors import ArgumentError, PlacewiseError
from retrieval.engine import Engine, read_engine
from retrieval.index import search
from retrieval.milvus import Milvus, area_filter
from retrieval.table import DescriptorTable
from tests.retrieval.test_index import unit

milvus = pytest.importorskip("milvus", reason="the server is missing: pip install milvus==2.3.5 pymilvus")
pytest.importorskip("pymilvus", reason="pip install pymilvus")
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("milvus")]
COUNT, DIM = 6_000, 256  # 6 MB


class Server:
    """The server of the package, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.start()

    def start(self) -> None:
        self.running = milvus.MilvusServer(milvus.MilvusServerConfig(data_dir=str(self.folder)))
        self.running.start()
        self.process, self.port = self.running.server_proc, self.running.listen_port

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.running.server_proc = None


class Proxy:
    """Passes a connection on, until it is cut; `limit` cuts it after so many bytes from the client."""

    def __init__(self, port: int, limit: float = float("inf")) -> None:
        self.target, self.limit, self.passed = port, limit, 0
        self.sockets: list[socket.socket] = []
        self.port = 0
        self.open()

    def open(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, args=[self.listener], daemon=True).start()

    def cut(self) -> None:
        self.limit = float("inf")
        for own in (self.listener, *self.sockets):
            with suppress(OSError):
                own.shutdown(socket.SHUT_RDWR)
            own.close()
        self.sockets = []

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client = listener.accept()[0]
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                return
            self.sockets += [client, server]
            for source, sink, counted in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pass, args=[source, sink, counted], daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        try:
            while data := source.recv(1 << 16):
                sink.sendall(data)
                self.passed += len(data) * counted
                if self.passed > self.limit:
                    self.cut()
        except OSError:
            pass

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def wait_for_cut(proxy: Proxy) -> None:
    end = time.monotonic() + 60
    while proxy.limit != float("inf") and time.monotonic() < end:
        time.sleep(0.01)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    try:
        socket.create_server(("127.0.0.1", 2380)).close()  # of the etcd inside
    except OSError:
        pytest.skip("port 2380 is in use, probably by another Milvus server")
    running = Server(tmp_path_factory.mktemp("milvus"))
    yield running
    running.kill()


@pytest.fixture(scope="module")
def data() -> tuple[DescriptorTable, np.ndarray]:
    """Descriptors of places, whose rows are neither ascending nor all there, and queries."""
    draw = np.random.default_rng(0)
    centres = unit(draw, COUNT // 10, DIM)
    views = np.repeat(centres, 10, axis=0) + 0.6 * unit(draw, COUNT, DIM)
    table = DescriptorTable(COUNT, DIM)
    table.add([(draw.permutation(COUNT + 50)[:COUNT], views / np.linalg.norm(views, axis=1, keepdims=True))])
    table.columns = lambda rows: {
        "path": [f"{row}.jpg" for row in rows],
        "latitude": (rows / 100).tolist(),
        "longitude": (rows / 100 - 30).tolist(),
    }
    return table, centres[:200]


@pytest.fixture(autouse=True)
def small_requests(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("retrieval.milvus.MESSAGE", 500 * 4 * DIM)
    monkeypatch.setattr("retrieval.milvus.Server.CALL", 6.0)


def assert_each_row_once(uri: str, name: str, table: DescriptorTable) -> None:
    from pymilvus import MilvusClient

    client = MilvusClient(uri)
    there = client.query(name, filter="id >= 0", output_fields=["id"], limit=16_000, consistency_level="Strong")
    assert sorted(entry["id"] for entry in there) == sorted(table.rows)
    (count,) = client.query(name, filter="", output_fields=["count(*)"], consistency_level="Strong")
    assert count["count(*)"] == len(table)


def test_finds_what_exact_search_finds_within_an_area_too(server: Server, data: tuple):
    table, queries = data
    uri = f"http://127.0.0.1:{server.port}"
    options = {"uri": uri, "collection": "recall"}
    exact, similarities = search(table, queries, 10)
    rows, found = search(table, queries, 10, Engine("milvus", options))
    assert np.mean([len(set(a) & set(b)) / 10 for a, b in zip(rows, exact, strict=True)]) >= 0.99
    assert found == pytest.approx(similarities, abs=1e-3)
    within = Engine("milvus", options | {"area": "10:-25:20:-15"})  # rows 1000 to 1500
    kept = table.among(np.arange(1000, 1501))
    rows, found = search(table, queries, 10, within)
    exact, similarities = search(kept, queries, 10)
    assert rows.min() >= 1000 and rows.max() <= 1500 and (rows == exact).mean() > 0.99
    images = Milvus(table, 10, **options).images(np.array([table.rows[5], table.rows[2]]))
    assert images["path"] == [f"{table.rows[5]}.jpg", f"{table.rows[2]}.jpg"]
    assert images["longitude"] == pytest.approx([table.rows[5] / 100 - 30, table.rows[2] / 100 - 30])
    with pytest.raises(ArgumentError, match="area=80:0:81:1: there is no database image"):
        Milvus(table, 10, **options, area="80:0:81:1")
    some = table.among(np.arange(1000))
    with pytest.raises(ArgumentError, match="collection recall was made from other images"):
        Milvus(some, 10, **options)
    other = DescriptorTable(COUNT, DIM)
    other.add([(table.rows, table.vectors[::-1])])
    with pytest.raises(ArgumentError, match="collection recall holds the descriptors of another network"):
        Milvus(other, 10, **options)


def test_an_upload_whose_connection_breaks_goes_on(server: Server, data: tuple):
    table, _ = data
    proxy = Proxy(server.port, limit=3e6)
    options = {"uri": proxy.uri, "collection": "broken", "patience": 2.0}
    with pytest.raises(PlacewiseError, match="does not answer .* an upload goes on where it was"):
        Milvus(table, 10, **options)
    assert proxy.limit == float("inf")  # the error is that of the cut
    proxy.open()
    proxy.passed = 0
    Milvus(table, 10, **options)
    assert proxy.passed < 5e6  # half of the 6 MB was there
    assert_each_row_once(proxy.uri, "broken", table)


def test_a_short_interruption_is_bridged(server: Server, data: tuple):
    table, queries = data
    proxy = Proxy(server.port, limit=3e6)

    def restore() -> None:
        wait_for_cut(proxy)
        time.sleep(1)
        proxy.open()

    threading.Thread(target=restore, daemon=True).start()
    built = Milvus(table, 10, uri=proxy.uri, collection="short", patience=30.0)
    assert_each_row_once(proxy.uri, "short", table)
    whole = built.search(queries, 10)[1]
    proxy.cut()
    threading.Timer(1, proxy.open).start()
    assert np.array_equal(built.search(queries, 10)[1], whole)
    proxy.cut()
    built.server.patience = 1.0
    with pytest.raises(PlacewiseError, match=r"does not answer \(search\)"):
        built.search(queries, 10)


def test_rows_that_are_there_twice_or_not_are_put_right(server: Server, data: tuple):
    from pymilvus import MilvusClient

    table, _ = data
    uri = f"http://127.0.0.1:{server.port}"
    built = Milvus(table, 10, uri=uri, collection="twice")
    client = MilvusClient(uri)
    batches = list(built._batches())
    (again,) = client.query("twice", ids=[int(table.rows[batches[2][0][0]])], output_fields=["*"])
    client.insert("twice", [again])
    client.delete("twice", ids=[int(table.rows[batches[5][0][1]])])
    assert built._counted() == len(table)  # the count alone says nothing
    Milvus(table, 10, uri=uri, collection="twice")
    assert_each_row_once(uri, "twice", table)


def test_a_server_that_is_killed_during_an_upload_loses_nothing(server: Server, data: tuple):
    table, queries = data
    proxy = Proxy(server.port, limit=3e6)

    def kill() -> None:
        wait_for_cut(proxy)
        server.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(PlacewiseError, match="does not answer"):
        Milvus(table, 10, uri=proxy.uri, collection="killed", patience=2.0)
    killer.join()
    assert proxy.limit == float("inf")
    server.start()
    uri = f"http://127.0.0.1:{server.port}"
    built = Milvus(table, 10, uri=uri, collection="killed", patience=120.0)
    assert_each_row_once(uri, "killed", table)
    found = built.search(queries, 10)[1]
    exact, _ = search(table, queries, 10)
    assert (np.sort(table.rows[found]) == np.sort(exact)).mean() > 0.99


def test_options_and_areas():
    assert read_engine("milvus", {"uri": "http://x:1", "links": "8"}).options["links"] == 8
    assert area_filter("1:170:2:-170").endswith("(longitude >= 170.0 or longitude <= -170.0)")
    for wrong in ("1:2:3", "2:0:1:1", "0:0:91:1", "a:b:c:d"):
        with pytest.raises(ArgumentError, match="is not SOUTH:WEST:NORTH:EAST"):
            area_filter(wrong)
    with pytest.raises(ArgumentError, match="at most 16384 neighbours"):
        Milvus(DescriptorTable(1, 2), 20_000)
    table = DescriptorTable(1, 2)
    table.add([(np.array([0]), np.float32([[1, 0]]))])
    with pytest.raises(PlacewiseError, match="does not answer"):
        Milvus(table, 1, uri="http://127.0.0.1:9", patience=0.5)
