"""Holds an output against its source and the model: `python verify.py SOURCE MODEL OUTPUT EXPECTED.npy`.

EXPECTED.npy holds the predictions of Python's onnxruntime for the whole source, and is made when it is not there.
Prints one JSON object: `rows`, the columns, the largest difference, and `problem`, a text where the output is not what
it should be: other columns than the source's and `prediction`, other rows, another order of rows, or predictions that
differ by more than 1e-6 (relative where they are above 1).
"""

import glob
import json
import os
import sys

import numpy as np
import onnxruntime as ort
import pyarrow.parquet as pq

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "peers"))
import feeding  # noqa: E402

TOLERANCE = 1e-6


def expected_predictions(source: str, model: str, path: str) -> np.ndarray:
    """The predictions of the source's rows, in order; float32."""
    if not os.path.exists(path):
        session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
        parts = []
        feed, prediction_of = feeding.of(session)
        for batch in pq.ParquetFile(source).iter_batches(batch_size=65_536):
            parts.append(prediction_of(session, feed(batch)))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        np.save(path + ".part.npy", np.concatenate(parts))
        os.replace(path + ".part.npy", path)
    return np.load(path)


def verify(source: str, model: str, output: str, expected_path: str) -> dict:
    """What `main` prints."""
    expected = expected_predictions(source, model, expected_path)
    files = sorted(glob.glob(os.path.join(output, "*.parquet"))) if os.path.isdir(output) else [output]
    if len(files) != 1:
        return {"problem": f"{output} holds {len(files)} Parquet files; one was expected"}
    file = pq.ParquetFile(files[0])
    wanted = [*pq.ParquetFile(source).schema_arrow.names, "prediction"]
    if file.schema_arrow.names != wanted:
        return {"problem": f"columns are {file.schema_arrow.names}; {wanted} were expected"}
    if file.metadata.num_rows != len(expected):
        return {"problem": f"{file.metadata.num_rows} rows; {len(expected)} were expected"}
    row, largest = 0, 0.0
    for batch in file.iter_batches(batch_size=1_048_576, columns=["id", "prediction"]):
        if batch.column("prediction").null_count > 0:
            return {"problem": f"predictions are NULL after row {row}"}
        ids = batch.column("id").to_numpy()
        if not np.array_equal(ids, np.arange(row, row + len(ids))):
            return {"problem": f"rows are not in the source's order after row {row}"}
        want = expected[row : row + len(ids)]
        difference = np.abs(batch.column("prediction").to_numpy() - want) / np.maximum(1, np.abs(want))
        largest = max(largest, float(np.max(difference, initial=0)))
        if not largest <= TOLERANCE:
            return {"problem": f"predictions differ by {largest:.3g} after row {row}; at most {TOLERANCE} is allowed"}
        row += len(ids)
    return {"rows": row, "columns": len(wanted), "difference": largest, "bytes": os.path.getsize(files[0])}


if __name__ == "__main__":
    print(json.dumps(verify(*sys.argv[1:5])))
