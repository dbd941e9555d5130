"""
pyarrow as another reader of damaged files. One question a line, JSON: {source, output, x, y}. Answers a line each:
{refused} where pyarrow does not read the source, else {rows, wrong}: rows of the source, and rows whose predictions
(`p` and `q`) are not what pyarrow reads as `x` and `y` in float32.
"""
import json
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def as_float32(column):
    values = column.to_numpy(zero_copy_only=False)
    with np.errstate(over='ignore', invalid='ignore'):
        return np.asarray(values, dtype=np.float64).astype(np.float32)


def answer(question):
    try:
        source = pq.read_table(question['source'], columns=[question['x'], question['y']], use_threads=False)
        source.validate(full=True)
    except (pa.ArrowException, OSError, ValueError, KeyError, OverflowError, MemoryError) as error:
        return {'refused': f'{type(error).__name__}: {error}'[:300]}
    output = pq.read_table(question['output'], columns=['p', 'q'], use_threads=False)
    rows = source.num_rows
    if output.num_rows != rows:
        return {'rows': rows, 'wrong': abs(rows - output.num_rows)}
    wrong = np.zeros(rows, dtype=bool)
    for name, made in ((question['x'], 'p'), (question['y'], 'q')):
        want, got = as_float32(source.column(name)), as_float32(output.column(made))
        same = (want == got) | (np.isnan(want) & np.isnan(got))
        # A value beyond float32 makes its row invalid: no prediction.
        wrong |= ~(same | (np.isinf(want) & np.isnan(got)))
    invalid = np.asarray(output.column('p').is_null()) & np.asarray(output.column('q').is_null())
    return {'rows': rows, 'wrong': int((wrong & ~invalid).sum()), 'invalid': int(invalid.sum())}


for line in sys.stdin:
    try:
        told = answer(json.loads(line))
    except Exception as error:
        told = {'failed': f'{type(error).__name__}: {error}'[:300]}
    print(json.dumps(told), flush=True)
