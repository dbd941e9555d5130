"""DuckDB for Python with an Arrow UDF around onnxruntime: `python duckdb_udf.py SOURCE MODEL OUTPUT`."""

import sys

import duckdb
import durable
import pyarrow as pa
import scoring

source, model, output = sys.argv[1:4]
# DuckDB calls the function from its own threads, but one after the other.
session = scoring.open_session(model, alone=True)


def score(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9):  # DuckDB counts the parameters, so that *columns would not do
    matrix = scoring.matrix([f0, f1, f2, f3, f4, f5, f6, f7, f8, f9])
    return pa.array(scoring.predict(session, {"X": matrix}))


connection = duckdb.connect()
connection.create_function("score", score, ["FLOAT"] * len(scoring.FEATURES), "FLOAT", type="arrow")
arguments = ", ".join(f"{name}::FLOAT" for name in scoring.FEATURES)
connection.execute(
    f"COPY (SELECT *, score({arguments}) AS prediction FROM '{source}') TO '{output}' "
    "(FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE 122880)"
)
durable.sync(output)
