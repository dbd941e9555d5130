"""Writes Parquet files of every kind that columns are spliced into. Usage: write_sources.py FOLDER; prints their names."""
import datetime as dt
import decimal
import json
import sys
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

folder = Path(sys.argv[1])
rows = 1000
numbers = np.arange(rows)


def every(step, values):
    return [None if i % step == 0 else v for i, v in enumerate(values)]


flat = pa.table({
    'id': pa.array(numbers, pa.int64()),
    'f': pa.array(every(5, (numbers / 3).tolist()), pa.float32()),
    'd': pa.array(numbers / 7, pa.float64()),
    'u': pa.array(numbers % 250, pa.uint8()),
    'text': pa.array(every(11, [f'text {i}' for i in numbers])),
    'flag': pa.array([i % 2 == 0 for i in numbers]),
    'day': pa.array([dt.date(2026, 1, 1) + dt.timedelta(days=int(i)) for i in numbers]),
})

rich = pa.table({
    'id': pa.array(numbers, pa.int64()),
    'zoned': pa.array([dt.datetime(2026, 1, 1) + dt.timedelta(hours=int(i)) for i in numbers], pa.timestamp('us', 'Europe/Berlin')),
    'local': pa.array([dt.datetime(2026, 1, 1) + dt.timedelta(hours=int(i)) for i in numbers], pa.timestamp('ms')),
    'seconds': pa.array([int(i) for i in numbers], pa.duration('s')),
    'category': pa.array([f'c{i % 4}' for i in numbers]).dictionary_encode(),
    'ordered': pa.DictionaryArray.from_arrays(pa.array(numbers % 3, pa.int8()), pa.array(['low', 'mid', 'high']), ordered=True),
    'price': pa.array([decimal.Decimal(int(i)) / 100 for i in numbers], pa.decimal128(12, 2)),
    'large': pa.array([f'large {i}' for i in numbers], pa.large_string()),
    'view': pa.array([f'view {i}' for i in numbers], pa.string_view()),
    'half': pa.array(numbers.astype(np.float16)),
    'time': pa.array([int(i) * 1000 for i in numbers], pa.time64('us')),
    'fixed': pa.array([[i, i + 1, i + 2] for i in numbers.tolist()], pa.list_(pa.float32(), 3)),
    'tags': pa.array([[f't{j}' for j in range(i % 4)] if i % 9 else None for i in numbers], pa.list_(pa.string())),
    'nested': pa.array([{'a': int(i), 'b': {'c': [float(i), None]}} if i % 6 else None for i in numbers]),
    'map': pa.array([[('k', int(i))] for i in numbers], pa.map_(pa.string(), pa.int32())),
    'bytes': pa.array([bytes([i % 256]) for i in numbers], pa.binary(1)),
    'uuid': pa.array([bytes(16) for _ in numbers], pa.uuid()),
}).replace_schema_metadata({'owner': 'tests'})
rich = rich.cast(rich.schema.set(0, rich.schema.field(0).with_metadata({'unit': 'rows'})))

made = []


def name(stem):
    made.append(f'{stem}.parquet')
    return str(folder / made[-1])


pq.write_table(flat, name('pyarrow-plain'))
pq.write_table(flat, name('pyarrow-index'), write_page_index=True, row_group_size=300, data_page_size=512)
pq.write_table(rich, name('pyarrow-rich'), row_group_size=400)
pq.write_table(rich, name('pyarrow-rich-index'), row_group_size=400, write_page_index=True)
pq.write_table(rich, name('pyarrow-no-arrow-schema'), store_schema=False)
huge = pa.array([decimal.Decimal(int(i)) / 100 for i in numbers], pa.decimal256(50, 2))
pq.write_table(flat.append_column('huge', huge), name('pyarrow-decimal256'))
pq.write_table(flat, name('pyarrow-v2'), data_page_version='2.0', version='2.6')
pq.write_table(flat, name('pyarrow-old'), version='1.0', row_group_size=250)
pq.write_table(flat, name('pyarrow-many-groups'), row_group_size=7, write_page_index=True)
pq.write_table(flat.slice(0, 0), name('pyarrow-no-rows'))
pq.write_table(flat.slice(0, 0), name('pyarrow-no-rows-index'), write_page_index=True)
pq.write_table(flat, name('pyarrow-no-statistics'), write_statistics=False)
pq.write_table(flat, name('pyarrow-crc'), write_page_checksum=True)
pq.write_table(flat, name('pyarrow-sorted'), sorting_columns=[pq.SortingColumn(0)])
for codec in ('none', 'snappy', 'gzip', 'zstd', 'brotli', 'lz4'):
    pq.write_table(flat, name(f'pyarrow-{codec}'), compression=codec)

with pq.ParquetWriter(name('pyarrow-empty-groups'), flat.schema, write_page_index=True) as writer:
    for part in (flat.slice(0, 0), flat.slice(0, 400), flat.slice(0, 0), flat.slice(400), flat.slice(0, 0)):
        writer.write_table(part)

with pq.ParquetWriter(name('pyarrow-no-groups'), flat.schema):
    pass

ids = pa.schema([f.with_metadata({'PARQUET:field_id': str(i + 10)}) for i, f in enumerate(flat.schema)])
pq.write_table(flat.cast(ids), name('pyarrow-field-ids'))
try:
    pq.write_table(flat, name('pyarrow-bloom'), bloom_filter_options={'id': True, 'text': True}, row_group_size=500)
except TypeError:
    made.pop()

frame = flat.to_pandas()
frame.to_parquet(name('pandas-range'))
frame.set_index('text').to_parquet(name('pandas-index'))
indexed = frame.set_index(['id', 'flag'])
indexed['kind'] = pd.Categorical([f'k{i % 3}' for i in range(rows)])
indexed['when'] = pd.date_range('2026-01-01', periods=rows, freq='h', tz='America/New_York')
indexed.to_parquet(name('pandas-multi-index'))
numbered = pd.DataFrame({0: numbers, 1: numbers / 3})
numbered.to_parquet(name('pandas-numbered'))
frame.convert_dtypes().to_parquet(name('pandas-nullable'))

polars = pl.from_arrow(flat).with_columns(
    pl.Series('cat', [f'c{i % 5}' for i in range(rows)]).cast(pl.Categorical),
    pl.Series('enum', [('a', 'b')[i % 2] for i in range(rows)]).cast(pl.Enum(['a', 'b'])),
    pl.Series('zoned', [dt.datetime(2026, 1, 1) + dt.timedelta(hours=i) for i in range(rows)]).dt.replace_time_zone('Asia/Tokyo'),
    pl.Series('list', [[i, None] for i in range(rows)], dtype=pl.List(pl.Int32)),
    pl.Series('array', [[float(i), 1.0] for i in range(rows)], dtype=pl.Array(pl.Float32, 2)),
    pl.Series('struct', [{'a': i, 'b': str(i)} for i in range(rows)]),
)
polars.write_parquet(name('polars'), row_group_size=300)
polars.write_parquet(name('polars-zstd-no-statistics'), compression='zstd', statistics=False)
polars.write_parquet(name('polars-lz4'), compression='lz4', row_group_size=100)

con = duckdb.connect()
con.execute("SET TimeZone='UTC'")
query = """select i id, i / 3 ratio, (i / 7)::decimal(18,3) d, 'n' || i % 20 s, to_timestamp(i) z, [i, null] l, {'a': i} st,
 map {'k': i} m, date '2026-01-01' + i::int d2, (i % 200)::utinyint ub from range(5000) t(i)"""
con.execute(f"copy ({query}) to '{name('duckdb')}' (row_group_size 2048)")
con.execute(f"copy ({query}) to '{name('duckdb-v2')}' (row_group_size 2048, parquet_version v2, codec zstd)")
con.execute(f"copy ({query} limit 0) to '{name('duckdb-no-rows')}'")
con.execute(f"copy (select i::int a, i::varchar b from range(3000) t(i)) to '{name('duckdb-field-ids')}' (field_ids {{a: 4, b: 9}})")
con.execute(f"copy (select i, interval (i) day iv from range(3000) t(i)) to '{name('duckdb-interval')}'")
print(json.dumps(made))
