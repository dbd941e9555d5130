"""
Writes the Parquet files that the fuzzer damages: small, by several writers, with all that a reader may trip over.
Usage: make_corpus.py FOLDER. The files are kept in the repository, so that a seed means the same inputs everywhere.
"""
import datetime as dt
import decimal
import sys
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

folder = Path(sys.argv[1])
ROWS = 120
numbers = list(range(ROWS))


def every(step, values):
    return [None if i % step == 0 else v for i, v in enumerate(values)]


table = pa.table({
    'id': pa.array(numbers, pa.int64()),
    'x': pa.array(every(7, [i / 4 for i in numbers]), pa.float32()),
    'y': pa.array([i / 3 - 5 for i in numbers], pa.float64()),
    's': pa.array(every(11, [f'text {i % 9}' for i in numbers])),
    'flag': pa.array([i % 2 == 0 for i in numbers]),
    'day': pa.array([dt.date(2026, 1, 1) + dt.timedelta(days=i) for i in numbers]),
    'price': pa.array([decimal.Decimal(i) / 100 for i in numbers], pa.decimal128(12, 2)),
    'tags': pa.array([[f't{j}' for j in range(i % 4)] if i % 9 else None for i in numbers], pa.list_(pa.string())),
    'nested': pa.array([{'a': i, 'b': {'c': [float(i), None]}} if i % 6 else None for i in numbers]),
    'map': pa.array([[('k', i)] for i in numbers], pa.map_(pa.string(), pa.int32())),
})
flat = table.select(['id', 'x', 'y', 's', 'flag'])


def name(stem):
    return str(folder / f'{stem}.parquet')


pq.write_table(table, name('pyarrow-nested-v1'), row_group_size=50)
pq.write_table(table, name('pyarrow-nested-v2-index'), row_group_size=50, data_page_version='2.0', version='2.6',
               write_page_index=True, compression='zstd', data_page_size=128)
pq.write_table(flat, name('pyarrow-plain'), use_dictionary=False, compression='none', row_group_size=60, store_schema=False)
pq.write_table(flat, name('pyarrow-dictionary'), use_dictionary=True, compression='snappy', data_page_size=64)
for codec in ('gzip', 'brotli', 'lz4', 'zstd'):
    pq.write_table(flat, name(f'pyarrow-{codec}'), compression=codec, row_group_size=70)
pq.write_table(flat, name('pyarrow-delta'), use_dictionary=False, version='2.6', column_encoding={
    'id': 'DELTA_BINARY_PACKED', 'x': 'BYTE_STREAM_SPLIT', 'y': 'BYTE_STREAM_SPLIT', 's': 'DELTA_BYTE_ARRAY', 'flag': 'RLE'})
pq.write_table(flat, name('pyarrow-bloom'), bloom_filter_options={'id': True, 's': True}, row_group_size=60)
pq.write_table(flat, name('pyarrow-crc'), write_page_checksum=True, data_page_version='2.0')
pq.write_table(flat, name('pyarrow-no-statistics'), write_statistics=False, row_group_size=9)
with pq.ParquetWriter(name('pyarrow-empty-groups'), flat.schema, write_page_index=True) as writer:
    for part in (flat.slice(0, 0), flat.slice(0, 40), flat.slice(0, 0), flat.slice(40)):
        writer.write_table(part)
pl.from_arrow(table.drop_columns(['map'])).write_parquet(name('polars'), row_group_size=50)
pl.from_arrow(flat).write_parquet(name('polars-lz4'), compression='lz4', row_group_size=50)

con = duckdb.connect()
query = """select i id, if(i % 7 = 0, null, i / 4)::float x, i / 3 - 5 y, 'text ' || i % 9 s, i % 2 = 0 flag,
 [i, null] l, {'a': i, 'b': [i::varchar]} st, map {'k': i} m from range(120) t(i)"""
con.execute(f"copy ({query}) to '{name('duckdb')}'")
con.execute(f"copy ({query}) to '{name('duckdb-v2')}' (parquet_version v2, codec zstd)")
con.execute(f"copy (select i id, (i % 50 / 4)::float x, i::double y, 'text ' || i % 9 s, i % 2 = 0 flag from range(2100) t(i)) "
            f"to '{name('duckdb-two-groups')}' (row_group_size 2048, codec zstd)")
