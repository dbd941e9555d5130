"""The table that the models of the zoo are trained on and scored with: 320 rows of every kind of column that they take."""
import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

ROWS = 320
SEED = 20261124
WORDS = "late refund broken great fast kind rude slow again thanks never always price cheap quality".split()


def frame():
    rng = np.random.default_rng(SEED)
    table = pd.DataFrame({f"x{i}": rng.standard_normal(ROWS).round(4) for i in range(6)})
    for i in range(4):
        column = (rng.standard_normal(ROWS) * 3).round(3)
        column[rng.random(ROWS) < 0.2] = np.nan
        table[f"m{i}"] = column
    table["visits"] = rng.integers(0, 40, ROWS)
    table["plan"] = rng.integers(1, 5, ROWS)
    table["age"] = rng.integers(18, 90, ROWS)
    table["city"] = rng.choice(["Köln", "Lyon", "Porto", "Graz", "Łódź"], ROWS).astype(object)
    table["grade"] = rng.choice(["low", "mid", "high"], ROWS).astype(object)
    table["member"] = rng.random(ROWS) < 0.4
    table["review"] = [" ".join(rng.choice(WORDS, rng.integers(2, 7))) for _ in range(ROWS)]
    table["since"] = [dt.date(2020, 1, 1) + dt.timedelta(days=int(d)) for d in rng.integers(0, 2000, ROWS)]
    return table


def targets(table):
    """What the models learn: binary, three classes, a number, two labels at once."""
    rng = np.random.default_rng(SEED + 1)
    score = table.x0 - 0.7 * table.x1 + 0.05 * (table.visits - 20) + 0.6 * table.m0.fillna(1.0)
    score = score + np.where(table.city == "Porto", 1.0, 0.0) + 0.5 * rng.standard_normal(len(table))
    binary = (score > 0).astype(np.int64).to_numpy()
    three = np.digitize(score, [-0.8, 0.8]).astype(np.int64)
    names = np.array(["gone", "kept", "won"], dtype=object)[three]
    labels = np.column_stack([binary, (table.x2 + table.x3 > 0).astype(np.int64)])
    return {"binary": binary, "three": three, "names": names, "number": score.to_numpy(), "labels": labels}


def write(path):
    table = frame()
    columns = {name: table[name] for name in table.columns}
    arrays = {}
    for name, column in columns.items():
        if name == "visits":
            arrays[name] = pa.array(column, pa.int64())
        elif name == "plan":
            arrays[name] = pa.array(column, pa.int32())
        elif name == "age":
            arrays[name] = pa.array(column, pa.uint8())
        elif name == "grade":
            arrays[name] = pa.array(column, pa.string()).dictionary_encode()
        elif name.startswith("m") and name[1:].isdigit():
            # Every other gap is NULL, the others NaN.
            gaps = np.flatnonzero(np.isnan(column))
            arrays[name] = pa.array(column.to_numpy(), pa.float64(), mask=np.isin(np.arange(ROWS), gaps[::2]))
        else:
            arrays[name] = pa.array(column)
    rng = np.random.default_rng(SEED + 2)
    vectors = rng.standard_normal((ROWS, 8)).astype(np.float32)
    arrays["embedding"] = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 8)
    arrays["embedding_list"] = pa.array(list(vectors), pa.list_(pa.float32()))
    arrays["token_a"] = pa.array(rng.integers(0, 50, ROWS), pa.int64())
    arrays["token_b"] = pa.array(rng.integers(0, 50, ROWS), pa.int16())
    arrays["row"] = pa.array(range(ROWS), pa.int32())
    rng = np.random.default_rng(SEED + 3)
    arrays["half"] = pa.array(rng.standard_normal(ROWS).astype(np.float16))
    arrays["amount"] = pa.array([Decimal(int(cents)).scaleb(-2) for cents in rng.integers(-10**6, 10**6, ROWS)], pa.decimal128(12, 2))
    seen = 1_600_000_000_000_000 + rng.integers(0, 10**14, ROWS)
    arrays["seen"] = pa.array(seen, pa.timestamp("us", tz="Europe/Berlin"))
    arrays["tiny"] = pa.array(rng.integers(-128, 128, ROWS), pa.int8())
    arrays["large"] = pa.array(rng.integers(0, 2**24, ROWS), pa.uint64())
    pq.write_table(pa.table(arrays), path, row_group_size=128)
    return table, vectors, arrays
