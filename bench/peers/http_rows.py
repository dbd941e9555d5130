"""One HTTP request a row, for the first ROWS rows: `python http_rows.py SOURCE MODEL OUTPUT ROWS CONNECTIONS`.

Starts http_server.py, and asks it over connections that are kept alive, each with one request at a time. The client
writes bytes to a socket, which costs a fraction of what clients for HTTP do: the server is what is measured. Prints a JSON object: `inner_s`, the seconds from the first request to the last answer.
"""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time

import durable
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import scoring
import uvloop

START_S = 60

source, model, output = sys.argv[1:4]
rows, connections = (int(count) for count in sys.argv[4:6])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to the server, which may still be starting."""
    deadline = time.monotonic() + START_S
    while True:
        try:
            return await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)


async def ask(port: int, waiting, predictions: np.ndarray) -> None:
    """Takes one row after the other until none is left."""
    reader, writer = await connect(port)
    for row, features in waiting:
        body = json.dumps({"features": features}).encode()
        writer.write(
            b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(head.decode())
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        predictions[row] = json.loads(await reader.readexactly(length))["prediction"]
    writer.close()


async def ask_all(port: int, matrix: np.ndarray) -> tuple[np.ndarray, float]:
    _, writer = await connect(port)
    writer.close()
    predictions = np.empty(len(matrix), np.float32)
    waiting = iter(enumerate(matrix.tolist()))
    start = time.perf_counter()
    await asyncio.gather(*(ask(port, waiting, predictions) for _ in range(connections)))
    return predictions, time.perf_counter() - start


batch = next(pq.ParquetFile(source).iter_batches(batch_size=rows))
matrix = scoring.matrix([batch.column(name) for name in scoring.FEATURES])
port = free_port()
server = subprocess.Popen([sys.executable, os.path.join(os.path.dirname(__file__), "http_server.py"), model, str(port)])
try:
    predictions, inner_s = uvloop.run(ask_all(port, matrix))
finally:
    server.terminate()
    server.wait()
pq.write_table(pa.Table.from_batches([batch.append_column("prediction", pa.array(predictions))]), output)
durable.sync(output)
print(json.dumps({"inner_s": inner_s}))
