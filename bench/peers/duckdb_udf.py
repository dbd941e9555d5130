"""DuckDB for Python with an Arrow UDF around onnxruntime: `python duckdb_udf.py SOURCE MODEL OUTPUT`."""

import sys

import duckdb
import durable
import numpy as np
import onnxruntime as ort
import pyarrow as pa

source, model, output = sys.argv[1:4]
features = [f"f{k}" for k in range(10)]

# DuckDB calls the function from its own threads, one after the other: more threads inside would only wait.
options = ort.SessionOptions()
options.intra_op_num_threads = 1
session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def score(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9):  # DuckDB counts the parameters, so that *columns would not do
    matrix = np.stack([column.to_numpy() for column in (f0, f1, f2, f3, f4, f5, f6, f7, f8, f9)], axis=1)
    (prediction,) = session.run(None, {"X": np.ascontiguousarray(matrix)})
    return pa.array(prediction.ravel())


connection = duckdb.connect()
connection.create_function("score", score, ["FLOAT"] * len(features), "FLOAT", type="arrow")
arguments = ", ".join(f"{name}::FLOAT" for name in features)
connection.execute(
    f"COPY (SELECT *, score({arguments}) AS prediction FROM '{source}') TO '{output}' "
    "(FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE 122880)"
)
durable.sync(output)
