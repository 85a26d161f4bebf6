"""Search in Milvus (https://milvus.io), a vector database that runs in one container or on many machines."""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from tqdm import tqdm

from commons.errors import ArgumentError, PlacewiseError, first_line
from retrieval.index import LOOK_FOR
from retrieval.table import DescriptorTable

MESSAGE = 1 << 23  # bytes of descriptors in one request
ASKED = 256  # queries in one request
MOST = 16_384  # neighbours that Milvus gives at most
WIDEST = 32_768  # the most candidates that its graph keeps
PATH = 4_096  # bytes
SAMPLE = 64  # stored descriptors that are compared with those of the table
REFUSED = {1100, 1101, 1102, 1400, 1401, 2100}  # codes of requests that are wrong: to repeat them changes nothing
SLOW = 3_600.0  # seconds that building or loading an index may take


class Milvus:
    """Searches a collection of a Milvus server through a graph of neighbours, HNSW (https://arxiv.org/abs/1603.09320).

    The collection is made and filled on first use, and used as it is afterwards. Where a connection is lost, requests
    are repeated for a while; after that, the same command goes on where the upload was. The collection keeps the path,
    latitude and longitude of each image. Needs `pip install pymilvus`.
    """

    def __init__(
        self,
        table: DescriptorTable,
        k: int,
        *,
        uri: str = "http://127.0.0.1:19530",
        collection: str = "placewise",
        token: str = "",
        area: str = "",
        links: int = 32,
        patience: float = 60.0,
    ) -> None:
        """Connects, and uploads the descriptors that the collection lacks.

        Args:
            table: descriptors.
            k: neighbours, at most 16,384.
            uri: address of the server.
            collection: name of the collection, one for each database and network.
            token: USER:PASSWORD, if the server asks for it.
            area: only look for images within SOUTH:WEST:NORTH:EAST, in degrees.
            links: neighbours of each descriptor in the graph.
            patience: seconds for which requests to a server that does not answer are repeated.

        Raises:
            ArgumentError: if pymilvus is missing, an option is wrong, or the collection holds other descriptors.
            PlacewiseError: if the server does not answer.
        """
        if k > MOST:
            raise ArgumentError("index", f"milvus gives at most {MOST} neighbours, and {k} are asked for; use flat")
        self.table, self.links, self.filter = table, links, area_filter(area)
        self.server, self.name = Server(uri, token, patience), collection
        self._order = np.argsort(table.rows, kind="stable")
        self._sorted = table.rows[self._order]
        again = self._create()
        if again:
            self._check()
        self._upload(again)
        self.count = len(table) if not self.filter else self._counted(self.filter)
        if not self.count:
            raise ArgumentError("index_options", f"area={area}: there is no database image; widen it")

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns inner products and positions as Index does, best first; at most `count` neighbours are asked for."""
        similarities = np.full((len(queries), k), -np.inf, np.float32)
        found = np.full((len(queries), k), -1, np.int64)
        for start in range(0, len(queries), ASKED):
            block = slice(start, start + ASKED)
            for width in (max(4 * k, 4 * LOOK_FOR), WIDEST):
                hits = self._hits(queries[block], k, min(width, WIDEST))
                if all(len(own) == k for own in hits):
                    break
            for row, own in enumerate(hits, start):
                similarities[row, : len(own)] = [hit["distance"] for hit in own]
                found[row, : len(own)] = self._positions(np.array([hit["id"] for hit in own], np.int64))
        if self.filter and (found < 0).any():
            raise PlacewiseError(f"{self.name}: Milvus finds fewer than {k} of the {self.count} images in the area")
        return similarities, found

    def images(self, rows: np.ndarray) -> dict[str, list]:
        """Reads the "path", "latitude" and "longitude" of some rows back, in their order."""
        names = ["path", "latitude", "longitude"]
        read = self.server.ask("query", self.name, ids=[int(row) for row in rows], output_fields=names)
        known = {int(own["id"]): own for own in read}
        return {name: [known[int(row)][name] for row in rows] for name in names}

    def _hits(self, queries: np.ndarray, k: int, width: int) -> list:
        params = {"metric_type": "IP", "params": {"ef": width}}
        return self.server.ask(
            "search", self.name, data=list(queries), anns_field="vector", limit=k, search_params=params,
            filter=self.filter, consistency_level="Strong",
        )  # fmt: skip

    def _positions(self, rows: np.ndarray) -> np.ndarray:
        return self._order[np.searchsorted(self._sorted, rows)]

    def _create(self) -> bool:
        """Makes the collection; returns whether there was one already."""
        from pymilvus import DataType, MilvusClient

        if self.server.ask("has_collection", self.name):
            return True
        schema = MilvusClient.create_schema(description=self._description())
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=self.table.dim)
        schema.add_field("path", DataType.VARCHAR, max_length=PATH)
        schema.add_field("latitude", DataType.DOUBLE)
        schema.add_field("longitude", DataType.DOUBLE)
        self.server.ask("create_collection", self.name, schema=schema, consistency_level="Strong")
        self._index()
        return False

    def _index(self) -> None:
        """Asks for the index; without effect where there is one."""
        from pymilvus import MilvusClient

        graph = MilvusClient.prepare_index_params()
        params = {"M": self.links, "efConstruction": 4 * self.links}
        graph.add_index("vector", index_type="HNSW", metric_type="IP", params=params)
        self.server.ask("create_index", self.name, index_params=graph)
        self.server.ask("load_collection", self.name, slow=True)

    def _description(self) -> str:
        """What the collection holds: count, dimension and a hash of the rows."""
        digest = hashlib.blake2b(self._sorted.tobytes(), digest_size=8).hexdigest()
        return json.dumps({"placewise": 1, "count": len(self.table), "dim": self.table.dim, "rows": digest})

    def _check(self) -> None:
        """Raises ArgumentError if the collection was not made from this table."""
        way_out = "give another name with collection=NAME, or drop it"
        if self.server.ask("describe_collection", self.name).get("description") != self._description():
            raise ArgumentError("index_options", f"collection {self.name} was made from other images; {way_out}")
        self._index()
        rows = self._sorted[np.linspace(0, len(self._sorted) - 1, min(SAMPLE, len(self._sorted))).astype(int)]
        stored = self.server.ask("query", self.name, ids=rows.tolist(), output_fields=["vector"])
        if not stored:
            return
        own = self.table.vectors[self._positions(np.array([int(entry["id"]) for entry in stored]))]
        there = np.array([entry["vector"] for entry in stored], np.float32)
        if np.abs(own.astype(np.float32) - there).max() > 0.01:
            raise ArgumentError(
                "index_options", f"collection {self.name} holds the descriptors of another network; {way_out}"
            )

    def _counted(self, condition: str = "") -> int:
        (answer,) = self.server.ask(
            "query", self.name, filter=condition, output_fields=["count(*)"], consistency_level="Strong"
        )
        return int(answer["count(*)"])

    def _batches(self) -> Iterator[tuple[np.ndarray, str]]:
        """Yields positions of descriptors, in ascending order of their rows, and the condition that selects them."""
        size = max(1, MESSAGE // (4 * self.table.dim))
        for start in range(0, len(self.table), size):
            positions = self._order[start : start + size]
            first, last = self.table.rows[positions[[0, -1]]]
            yield positions, f"id >= {first} and id <= {last}"

    def _upload(self, again: bool) -> None:
        """Inserts what is missing until the collection holds each row once, and waits for the index.

        Args:
            again: whether the collection was there before.
        """
        there = self._counted() if again else 0
        if 0 < there < len(self.table):
            logging.info(f"{self.name}: {there} of {len(self.table)} descriptors are there; the upload goes on")
        batches, inserted = list(self._batches()), 0
        for positions, condition in tqdm(batches, f"upload to {self.name}", leave=False):
            self.server.repeated |= there > 0
            inserted += self._complete(positions, condition)
        for positions, condition in batches if self._counted() != len(self.table) else ():
            self.server.repeated = True
            inserted += self._complete(positions, condition)
        if (now := self._counted()) != len(self.table):
            raise PlacewiseError(f"{self.name}: holds {now} of {len(self.table)} descriptors; repeat the command")
        self.server.ask("flush", self.name, slow=True)
        self._wait()
        if inserted:  # what was loaded while it arrived has an index of its own, which finds less
            self.server.ask("release_collection", self.name)
            self.server.ask("load_collection", self.name, slow=True)

    def _complete(self, positions: np.ndarray, condition: str) -> int:
        """Inserts a batch that is not there; one of which some rows are there, or some twice, is replaced.

        Rows can be there if an earlier run, or a request that was repeated, has sent them. Returns how many rows were
        inserted.
        """
        count = self._counted(condition) if self.server.repeated else 0
        self.server.repeated = False
        if count == len(positions):
            return 0
        rows = self.table.rows[positions]
        if count:
            self.server.ask("delete", self.name, ids=rows.tolist())
        known = self.table.columns(rows) if self.table.columns else {}
        nothing = [np.nan] * len(rows)
        columns = [
            rows.tolist(), list(self.table.vectors[positions].astype(np.float32)), known.get("path", [""] * len(rows)),
            known.get("latitude", nothing), known.get("longitude", nothing),
        ]  # fmt: skip
        names = ("id", "vector", "path", "latitude", "longitude")
        self.server.ask("insert", self.name, [dict(zip(names, own, strict=True)) for own in zip(*columns, strict=True)])
        if self.server.repeated:  # the first request may have arrived, too
            return len(rows) + self._complete(positions, condition)
        return len(rows)

    def _wait(self) -> None:
        """Waits until the index holds all descriptors."""
        while True:
            state = self.server.ask("describe_index", self.name, index_name="vector")
            if not int(state.get("pending_index_rows", 0)) and state.get("state", "Finished") == "Finished":
                return
            time.sleep(0.2)


class Server:
    """A connection that is made again when it is lost.

    Attributes:
        repeated: whether a request was sent more than once; the owner sets it back.
    """

    CALL = 20.0  # seconds for one request

    def __init__(self, uri: str, token: str, patience: float) -> None:
        try:
            import pymilvus  # noqa: F401
        except ImportError:
            raise ArgumentError("index", "milvus needs pymilvus: pip install pymilvus") from None
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # errors are told in one line here
        self.uri, self.token, self.patience = uri, token, patience
        self.client: Any = None
        self.repeated = False

    def ask(self, what: str, *arguments: Any, slow: bool = False, **options: Any) -> Any:
        """Calls a method of the client; repeats it as long as the server does not answer.

        Args:
            what: name of the method.
            arguments, options: of the method.
            slow: whether the request may take long, so that it is repeated for an hour if the server is alive.

        Raises:
            PlacewiseError: if the server refuses the request, or does not answer for `patience` seconds.
        """
        from grpc import RpcError
        from pymilvus import MilvusException

        started, pause = time.monotonic(), 0.2
        deadline = started + self.patience
        while True:
            try:
                return self._method(what)(*arguments, timeout=self.CALL, **options)
            except (RpcError, MilvusException, ValueError) as error:
                refused = isinstance(error, ValueError) or getattr(error, "code", None) in REFUSED
                if slow and not refused and time.monotonic() - started < SLOW and self._alive():
                    continue
                if refused or time.monotonic() > deadline:
                    raise self._error(what, error, refused) from error
                logging.debug(f"Milvus: {what} is repeated ({first_line(error)})")
                self.repeated = True
            time.sleep(pause)
            pause = min(2 * pause, 5)

    def _method(self, what: str) -> Callable[..., Any]:
        from pymilvus import MilvusClient

        if self.client is None:
            self.client = MilvusClient(self.uri, token=self.token, timeout=self.CALL)
        return getattr(self.client, what)

    def _alive(self) -> bool:
        from pymilvus import MilvusException

        try:
            return bool(self._method("get_server_version")(timeout=1))
        except MilvusException:
            return False

    def _error(self, what: str, error: Exception, refused: bool) -> PlacewiseError:
        if refused:
            return PlacewiseError(f"Milvus at {self.uri} refuses to {what.replace('_', ' ')}: {first_line(error)}")
        return PlacewiseError(
            f"Milvus at {self.uri} does not answer ({what}); start it, check uri= in `index_options`, and repeat the "
            "command: an upload goes on where it was"
        )


def area_filter(area: str) -> str:
    """Returns the condition of SOUTH:WEST:NORTH:EAST in Milvus' language; "" for "".

    Raises:
        ArgumentError: if it is no such area. West may be greater than east, across the antimeridian.
    """
    if not area:
        return ""
    try:
        south, west, north, east = map(float, area.split(":"))
    except ValueError:
        south, north, west, east = 1, 0, 0, 0
    if not (-90 <= south < north <= 90 and all(-180 <= degrees <= 180 for degrees in (west, east))):
        raise ArgumentError("index_options", f"area={area} is not SOUTH:WEST:NORTH:EAST in degrees")
    between = "and" if west <= east else "or"
    return f"latitude >= {south} and latitude <= {north} and (longitude >= {west} {between} longitude <= {east})"
