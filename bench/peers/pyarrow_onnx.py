"""pyarrow in large batches with onnxruntime: `python pyarrow_onnx.py SOURCE MODEL OUTPUT`."""

import sys

import durable
import pyarrow as pa
import pyarrow.parquet as pq
import scoring

source, model, output = sys.argv[1:4]
session = scoring.open_session(model, alone=True)
file = pq.ParquetFile(source)
schema = file.schema_arrow.append(pa.field("prediction", pa.float32()))
with pq.ParquetWriter(output, schema, compression="snappy") as writer:
    for batch in file.iter_batches(batch_size=122_880, use_threads=True):
        prediction = scoring.predict(session, scoring.feeds_of(session, batch))
        writer.write_batch(batch.append_column("prediction", pa.array(prediction)), row_group_size=122_880)
durable.sync(output)
