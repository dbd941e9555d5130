"""polars' streaming engine with onnxruntime: `python polars_onnx.py SOURCE MODEL OUTPUT`."""

import sys

import durable
import numpy as np
import onnxruntime as ort
import polars as pl

source, model, output = sys.argv[1:4]
features = [f"f{k}" for k in range(10)]

# polars calls the function from its own threads, and a linear model is too small to share: with more threads
# onnxruntime's pool only spins, for a third more CPU time.
options = ort.SessionOptions()
options.intra_op_num_threads = 1
session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def score(frame: pl.DataFrame) -> pl.DataFrame:
    matrix = frame.select([pl.col(name).cast(pl.Float32) for name in features]).to_numpy()
    (prediction,) = session.run(None, {"X": np.ascontiguousarray(matrix)})
    return frame.with_columns(pl.Series("prediction", prediction.ravel()))


scan = pl.scan_parquet(source)
schema = {**scan.collect_schema(), "prediction": pl.Float32}
scan.map_batches(score, streamable=True, schema=schema).sink_parquet(
    output, compression="snappy", row_group_size=122_880, engine="streaming"
)
durable.sync(output)
