"""Writes models/golden/: what Python's onnxruntime makes of committed data, bit for bit.

One intra-op thread, the CPU provider, and one batch: the valid rows of the first row group of
`data/customers/region=north/part-0.parquet` in row order (churn_fixed_batch: 32 at a time, the last batch filled up
with zeros), and all rows of `data/breast_cancer.parquet`. A file holds, for each row, `_file`, `_row` (from 0), the
features as the model got them, and every output of the graph under its own name; a matrix is a list a row, and a map
of ZipMap is its values in the order of the classes. `golden.json` says how the columns belong to the model's inputs.

    python models/train/golden.py [FOLDER]     # default: models/golden
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

import tables
from tables import matrix

GOLDEN = Path(sys.argv[1]) if len(sys.argv) > 1 else tables.MODELS / "golden"
FILE = "region=north/part-0.parquet"
MIXED_TYPES = {
    "region": "object",
    "status": "object",
    "age": "int64",
    "tenure_months": "int64",
    "income": "float32",
    "is_premium": "bool",
}

# Model, its features in order, and the name of its matrix input; None: one input a column.
CUSTOMER_MODELS = {
    "churn_logistic": (tables.CHURN, "X"),
    "churn_fixed_batch": (tables.CHURN, "X"),
    "churn_forest": (tables.CHURN, "X"),
    "churn_xgb": (tables.CHURN_TREES, "X"),
    "churn_lgbm": (tables.CHURN_TREES, "X"),
    "churn_derived": (list(tables.CHURN_DERIVED), "X"),
    "income_regressor": (tables.INCOME, "X"),
    "segments": (tables.SEGMENTS, "X"),
    "embedding": (tables.EMBEDDING, "vector"),
    "mixed_inputs": (tables.MIXED, None),
}


def session(path):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def run_fixed(model, name, values, size):
    """Scores `size` rows at a time, fills the last batch up with zeros, and cuts their scores off."""
    filled = np.zeros((-(-len(values) // size) * size, values.shape[1]), np.float32)
    filled[: len(values)] = values
    parts = [model.run(None, {name: filled[start : start + size]}) for start in range(0, len(filled), size)]
    return [np.concatenate([part[k] for part in parts])[: len(values)] for k in range(len(parts[0]))]


def column(output):
    """An output as one value or one list a row, and the classes of its maps if it has any."""
    if isinstance(output, list):
        classes = sorted(output[0])
        return pa.array([[row[key] for key in classes] for row in output], pa.list_(pa.float32())), classes
    if output.ndim == 1:
        return pa.array(output), None
    # The axis stays: [N, 1] is a list of one a row.
    return pa.FixedSizeListArray.from_arrays(pa.array(output.reshape(-1)), output.shape[1]).cast(
        pa.list_(pa.from_numpy_dtype(output.dtype))
    ), None


def write(name, path, file, row, frame, features, matrix_input):
    model = session(path)
    inputs = model.get_inputs()
    if matrix_input is None:
        values = {feature: frame[feature].astype(MIXED_TYPES[feature]).to_numpy() for feature in features}
        outputs = model.run(None, {key: value.reshape(-1, 1) for key, value in values.items()})
        used = {feature: [feature] for feature in features}
    else:
        x = matrix(frame, features)
        size = inputs[0].shape[0]
        fixed = isinstance(size, int)
        outputs = run_fixed(model, matrix_input, x, size) if fixed else model.run(None, {matrix_input: x})
        values = {feature: x[:, k] for k, feature in enumerate(features)}
        used = {matrix_input: features}
    columns = {"_file": pa.array([file] * len(row)), "_row": pa.array(row, pa.int64())}
    columns |= {feature: pa.array(value) for feature, value in values.items()}
    described = {}
    for spec, output in zip(model.get_outputs(), outputs):
        columns[spec.name], classes = column(output)
        described[spec.name] = {"type": spec.type, "shape": spec.shape} | ({"classes": classes} if classes else {})
    pq.write_table(pa.table(columns), GOLDEN / f"{name}.parquet", compression="zstd", store_schema=False)
    graph = onnx.load(path)
    return {
        "model": f"{name}.onnx",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "producer": f"{graph.producer_name} {graph.producer_version}".strip(),
        "opsets": {opset.domain or "ai.onnx": opset.version for opset in graph.opset_import},
        "file": file,
        "rows": len(row),
        "features": used,
        "inputs": {spec.name: {"type": spec.type, "shape": spec.shape} for spec in inputs},
        "outputs": described,
    }


def main():
    GOLDEN.mkdir(parents=True, exist_ok=True)
    first = pq.ParquetFile(tables.CUSTOMERS / FILE).metadata.row_group(0).num_rows
    frame = tables.customers()
    frame = frame[(frame._file == FILE) & (frame._row < first)].sort_values("_row")
    models = {
        name: write(name, tables.MODELS / f"{name}.onnx", f"customers/{FILE}", frame._row, frame, features, matrix_input)
        for name, (features, matrix_input) in CUSTOMER_MODELS.items()
    }
    real = tables.breast_cancer()
    models["breast_cancer"] = write(
        "breast_cancer",
        tables.MODELS / "breast_cancer.onnx",
        "breast_cancer.parquet",
        pd.Series(range(len(real))),
        real,
        tables.BREAST_CANCER_FEATURES,
        "X",
    )
    about = {"onnxruntime": ort.__version__, "intra_op_threads": 1, "models": models}
    (GOLDEN / "golden.json").write_text(json.dumps(about, indent=2) + "\n")


if __name__ == "__main__":
    main()
