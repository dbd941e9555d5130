"""
Holds spliced files against their sources with every reader. Usage: check_spliced.py PAIRS.json, a list of
{source, destination}.
Prints {wrong: what is wrong, unread: which sources a reader does not take either}.
"""
import json
import sys
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

wrong = []
unread = []


def expected(rows):
    null = [i % 7 == 3 for i in range(rows)]
    return {
        'prediction': [None if n else i * 0.5 for i, n in enumerate(null)],
        'label': [None if n else f'class-{i % 3}' for i, n in enumerate(null)],
        'all': [None if n else [i, i + 0.25] for i, n in enumerate(null)],
        'top': [None if n else i * 1_000_000_007 for i, n in enumerate(null)],
        'status': [1 if n else 0 for n in null],
    }


NEW = {'prediction': pa.float32(), 'label': pa.string(), 'all': pa.list_(pa.float32()), 'top': pa.int64(), 'status': pa.uint8()}

NAMES = [f'"{column}"' for column in NEW]


def check(pair, reader, ok, what):
    if not ok:
        wrong.append(f"{pair['destination']} read by {reader}: {what}")


def with_pyarrow(pair):
    old, new = pq.read_table(pair['source']), pq.read_table(pair['destination'])
    columns = old.column_names
    check(pair, 'pyarrow', new.column_names == columns + list(NEW), f'columns {new.column_names}')
    for column in columns:
        check(pair, 'pyarrow', new.schema.field(column).equals(old.schema.field(column), check_metadata=True),
              f'{old.schema.field(column)} became {new.schema.field(column)}')
        check(pair, 'pyarrow', new.column(column).equals(old.column(column)) or new.column(column).to_pylist() == old.column(column).to_pylist(), f'{column} differs')
    arrow = pq.read_metadata(pair['destination']).metadata or {}
    for column, values in expected(old.num_rows).items():
        check(pair, 'pyarrow', new.column(column).to_pylist() == values, f'{column} is wrong')
        check(pair, 'pyarrow', new.schema.field(column).type.equals(NEW[column]), f'{column} is {new.schema.field(column).type}')
    before, after = pq.ParquetFile(pair['source']).metadata, pq.ParquetFile(pair['destination']).metadata
    check(pair, 'pyarrow', before.created_by == after.created_by, 'created_by')
    check(pair, 'pyarrow', before.num_row_groups == after.num_row_groups, 'row groups')
    check(pair, 'pyarrow', arrow.get(b'colonnade.run_id') == b'r1', 'metadata')
    keys = {k for k in (old.schema.metadata or {}) if k not in (b'pandas', b'org.apache.spark.sql.parquet.row.metadata')}
    check(pair, 'pyarrow', all((new.schema.metadata or {}).get(k) == old.schema.metadata[k] for k in keys), 'schema metadata')
    for i in range(after.num_row_groups):
        a, b = before.row_group(i), after.row_group(i)
        added = sum(b.column(j).total_uncompressed_size for j in range(a.num_columns, b.num_columns))
        check(pair, 'pyarrow', b.total_byte_size == a.total_byte_size + added, 'total_byte_size')
        has_index = any(a.column(j).has_offset_index for j in range(a.num_columns))
        for j in range(a.num_columns, b.num_columns):
            check(pair, 'pyarrow', b.column(j).has_offset_index == (has_index and b.num_rows > 0), f'page index of {j} in {i}')
    first = old.column_names[0]
    if old.num_rows and pa.types.is_integer(old.schema.field(first).type):
        some = pq.read_table(pair['destination'], filters=[('status', '=', 1)], columns=['top'])
        check(pair, 'pyarrow', some.num_rows == sum(expected(old.num_rows)['status']), 'filter on a new column')
        some = pq.read_table(pair['destination'], filters=[(first, '<', 20)], columns=['top'])
        check(pair, 'pyarrow', some.num_rows == 20, 'filter on an old column')
    if b'pandas' in (old.schema.metadata or {}):
        a, b = pd.read_parquet(pair['source']), pd.read_parquet(pair['destination'])
        check(pair, 'pandas', a.index.equals(b.index), 'the index')
        check(pair, 'pandas', [str(c) for c in b.columns] == [str(c) for c in a.columns] + list(NEW), f'columns {list(b.columns)}')
        for i in range(len(a.columns)):
            x, y = a.iloc[:, i], b.iloc[:, i]
            check(pair, 'pandas', x.dtype == y.dtype and x.equals(y), f'column {i}: {x.dtype} became {y.dtype}')
        check(pair, 'pandas', b['prediction'].dtype == np.float32, 'prediction')


def with_polars(pair):
    try:
        old = pl.read_parquet(pair['source'])
    except BaseException as error:  # a panic in Rust is no Exception
        print(error, file=sys.stderr)
        unread.append(f"polars {Path(pair['source']).stem}")
        return
    columns = old.columns
    for reader, new in (('polars', pl.read_parquet(pair['destination'])), ('polars scan', pl.scan_parquet(pair['destination']).collect(engine='streaming'))):
        check(pair, reader, new.columns == columns + list(NEW), f'columns {new.columns}')
        for column in columns:
            check(pair, reader, new[column].dtype == old[column].dtype, f'{column}: {old[column].dtype} became {new[column].dtype}')
            check(pair, reader, new[column].equals(old[column], null_equal=True), f'{column} differs')
        for column, values in expected(old.height).items():
            check(pair, reader, new[column].to_list() == values, f'{column} is wrong')
    some = pl.scan_parquet(pair['destination']).filter(pl.col('top') >= 1_000_000_007 * 5).collect()
    want = sum(1 for v in expected(old.height)['top'] if v is not None and v >= 1_000_000_007 * 5)
    check(pair, 'polars', some.height == want, 'filter')


def with_duckdb(pair):
    con = duckdb.connect()
    try:
        old = con.sql(f"select columns(*)::varchar from '{pair['source']}'").fetchall()
    except Exception as error:
        print(error, file=sys.stderr)
        unread.append(f"DuckDB {Path(pair['source']).stem}")
        return
    names = [r[0] for r in con.sql(f"describe select * from '{pair['source']}'").fetchall()]
    types = lambda path: {r[0]: r[1] for r in con.sql(f"describe select * from '{path}'").fetchall()}
    before, after = types(pair['source']), types(pair['destination'])
    check(pair, 'DuckDB', list(after) == names + list(NEW), f'columns {list(after)}')
    check(pair, 'DuckDB', all(after[c] == before[c] for c in names), f'types {after}')
    new = con.sql(f"select columns(*)::varchar from '{pair['destination']}'").fetchall()
    check(pair, 'DuckDB', [list(r) for r in old] == [list(r[: len(names)]) for r in new], 'old columns differ')
    added = con.sql(f"select {', '.join(NAMES)} from '{pair['destination']}'").fetchall()
    got = {c: [r[i] for r in added] for i, c in enumerate(NEW)}
    check(pair, 'DuckDB', got == expected(len(old)), 'new columns are wrong')
    some = con.sql(f"select count(*) from '{pair['destination']}' where top >= 5000000035").fetchall()[0][0]
    check(pair, 'DuckDB', some == sum(1 for v in expected(len(old))['top'] if v is not None and v >= 5000000035), 'filter')


for pair in json.load(open(sys.argv[1])):
    for reader in (with_pyarrow, with_polars, with_duckdb):
        try:
            reader(pair)
        except Exception as error:
            wrong.append(f"{pair['destination']} {reader.__name__}: {type(error).__name__}: {error}")
print(json.dumps({'wrong': wrong, 'unread': unread}))
