"""The plain listing: the whole table in memory, scored in batches of 1,000: `python pyarrow_memory.py SOURCE MODEL OUTPUT`."""

import sys

import durable
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import scoring

source, model, output = sys.argv[1:4]
session = scoring.open_session(model)
table = pq.read_table(source)
matrix = np.column_stack([table[name].to_numpy() for name in scoring.FEATURES]).astype(np.float32)
prediction = np.concatenate(
    [scoring.predict(session, {"X": matrix[row : row + 1000]}) for row in range(0, len(matrix), 1000)]
)
pq.write_table(table.append_column("prediction", pa.array(prediction)), output)
durable.sync(output)
