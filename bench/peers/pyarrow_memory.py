"""The plain listing: the whole table in memory, scored in batches of 1,000: `python pyarrow_memory.py SOURCE MODEL OUTPUT`."""

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
table = pq.read_table(source)
matrix = np.column_stack([table[name].to_numpy() for name in features]).astype(np.float32)
prediction = np.concatenate(
    [session.run(None, {"X": matrix[row : row + 1000]})[0].ravel() for row in range(0, len(matrix), 1000)]
)
pq.write_table(table.append_column("prediction", pa.array(prediction)), output)
durable.sync(output)
