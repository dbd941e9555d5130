"""pyarrow in large batches with onnxruntime: `python pyarrow_onnx.py SOURCE MODEL OUTPUT`."""

import sys

import durable
import feeding
import onnxruntime as ort
import pyarrow as pa
import pyarrow.parquet as pq

source, model, output = sys.argv[1:4]

# A linear model is too small to share: with more threads onnxruntime's pool only spins.
options = ort.SessionOptions()
options.intra_op_num_threads = 1
session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
file = pq.ParquetFile(source)
feed, prediction_of = feeding.of(session)
schema = file.schema_arrow.append(pa.field("prediction", pa.float32()))
with pq.ParquetWriter(output, schema, compression="snappy") as writer:
    for batch in file.iter_batches(batch_size=122_880, use_threads=True):
        prediction = prediction_of(session, feed(batch))
        writer.write_batch(batch.append_column("prediction", pa.array(prediction)), row_group_size=122_880)
durable.sync(output)
