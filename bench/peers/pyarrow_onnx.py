"""pyarrow in large batches with onnxruntime: `python pyarrow_onnx.py SOURCE MODEL OUTPUT`."""

import sys

import durable
import numpy as np
import onnxruntime as ort
import pyarrow as pa
import pyarrow.parquet as pq

source, model, output = sys.argv[1:4]
features = [f"f{k}" for k in range(10)]

# A linear model is too small to share: with more threads onnxruntime's pool only spins.
options = ort.SessionOptions()
options.intra_op_num_threads = 1
session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
file = pq.ParquetFile(source)
schema = file.schema_arrow.append(pa.field("prediction", pa.float32()))
with pq.ParquetWriter(output, schema, compression="snappy") as writer:
    for batch in file.iter_batches(batch_size=122_880, use_threads=True):
        matrix = np.empty((batch.num_rows, len(features)), np.float32)
        for k, name in enumerate(features):
            matrix[:, k] = batch.column(name).to_numpy()
        (prediction,) = session.run(None, {"X": matrix})
        writer.write_batch(batch.append_column("prediction", pa.array(prediction.ravel())), row_group_size=122_880)
durable.sync(output)
