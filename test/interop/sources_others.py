"""Files by pandas, polars and DuckDB, with what each of them adds to a file."""
import datetime as dt

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

from sources_common import scored_columns

ROWS = 600


def pandas_files(folder):
    def frame():
        first = folder.next_keys(ROWS)
        made = pa.table(scored_columns(first, ROWS)).to_pandas()
        made['kind'] = pd.Categorical([f'k{k % 3}' for k in range(ROWS)], categories=['k2', 'k1', 'k0', 'none'], ordered=True)
        made['when'] = pd.date_range('2026-01-01', periods=ROWS, freq='h', tz='America/New_York')
        made['label'] = [None if k % 5 == 0 else f'l{k}' for k in range(ROWS)]
        return made

    def write(group, made, **options):
        made.to_parquet(folder.file(f'pandas-{group}', group), **options)

    write('range-index', frame(), row_group_size=250)
    shifted = frame()
    shifted.index = pd.RangeIndex(100, 100 + 3 * ROWS, 3, name='position')
    write('named-range-index', shifted)
    named = frame()
    named['customer'] = [f'customer {k}' for k in range(ROWS)]
    write('named-index', named.set_index('customer'), row_group_size=77)
    unnamed = frame()
    unnamed.index = pd.Index(np.arange(ROWS)[::-1].copy())
    write('unnamed-index', unnamed)
    dated = frame()
    dated.index = pd.date_range('2020-01-01', periods=ROWS, freq='D', tz='UTC', name='day')
    write('time-index', dated)
    write('multi-index', frame().set_index(['key', 'site']))
    write('no-index', frame(), index=False)
    write('nullable', frame().convert_dtypes(), write_page_index=True)
    numbered = frame()
    numbered.columns = range(len(numbered.columns))
    write('numbered-columns', numbered)
    wide = frame()
    wide.columns.name = 'fields'
    write('named-columns', wide)
    attributes = frame()
    attributes.attrs['source'] = 'tests'
    write('attributes', attributes)


def polars_files(folder):
    for name, options in (
        ('plain', {'row_group_size': 250}),
        ('no-statistics', {'compression': 'zstd', 'statistics': False}),
        ('full-statistics', {'compression': 'snappy', 'statistics': 'full', 'data_page_size': 500}),
        ('lz4', {'compression': 'lz4', 'row_group_size': 101}),
        ('metadata', {'compression': 'uncompressed', 'metadata': {'owner': 'tests'}}),
        ('by-pyarrow', {'use_pyarrow': True}),
        ('no-rows', {}),
    ):
        rows = 0 if name == 'no-rows' else ROWS
        first = folder.next_keys(rows)
        keys = range(first, first + rows)
        frame = pl.from_arrow(pa.table(scored_columns(first, rows))).with_columns(
            pl.Series('cat', [f'c{k % 5}' for k in keys], dtype=pl.Categorical),
            pl.Series('enum', [('a', 'b')[k % 2] for k in keys], dtype=pl.Enum(['a', 'b'])),
            pl.Series('zoned', [dt.datetime(2026, 1, 1) + dt.timedelta(hours=k) for k in keys], dtype=pl.Datetime('us')).dt.replace_time_zone('UTC').dt.convert_time_zone('Asia/Tokyo'),
            pl.Series('list', [[k, None] for k in keys], dtype=pl.List(pl.Int32)),
            pl.Series('array', [[float(k), 1.0] for k in keys], dtype=pl.Array(pl.Float32, 2)),
            pl.Series('struct', [{'a': k, 'b': str(k)} for k in keys], dtype=pl.Struct({'a': pl.Int64, 'b': pl.String})),
            pl.Series('price', [k for k in keys], dtype=pl.Decimal(12, 2)),
            pl.Series('time', [dt.time(k % 24, k % 60) for k in keys], dtype=pl.Time),
            pl.Series('span', [dt.timedelta(seconds=k) for k in keys], dtype=pl.Duration('ms')),
        )
        group = 'polars-by-pyarrow' if name == 'by-pyarrow' else 'polars'
        frame.write_parquet(folder.file(group, name), **options)


def duckdb_files(folder):
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for name, rows, options in (
        ('plain', 5000, 'row_group_size 2048'),
        ('v2', 3000, 'row_group_size 2048, parquet_version v2, codec zstd'),
        ('no-rows', 0, 'codec snappy'),
        ('gzip', 600, 'codec gzip'),
        ('brotli', 600, 'codec brotli'),
        ('lz4', 600, 'codec lz4_raw'),
        ('none', 600, 'codec uncompressed'),
        ('no-dictionary', 600, 'dictionary_size_limit 1, write_bloom_filter false'),
        ('metadata', 600, "kv_metadata {owner: 'tests'}"),
    ):
        first = folder.next_keys(rows)
        scored = pa.table(scored_columns(first, rows))
        connection.register('scored', scored)
        query = """SELECT *, (key / 7)::DECIMAL(18, 3) AS d18, (key % 1000 / 7)::DECIMAL(4, 1) AS d4, key::DECIMAL(38, 0) AS d38,
          to_timestamp(key) AS zoned, make_timestamp(key * 1001) AS at, make_timestamp_ns(key * 1001) AS at_ns,
          [key, NULL] AS list, {'a': key, 'b': [site]} AS struct, MAP {'k': key} AS map, [{'x': key}] AS structs,
          DATE '2026-01-01' + (key % 365)::INT AS day, TIME '01:02:03' + INTERVAL (key) SECOND AS time,
          (key % 200)::UTINYINT AS ub, key::UBIGINT AS ul, key::HUGEINT AS huge, ('e' || key % 3)::ENUM('e0', 'e1', 'e2') AS enum,
          site::BLOB AS bytes, uuid_of(key) AS id, key % 2 = 0 AS flag, (key / 3)::FLOAT AS f
          FROM scored"""
        connection.execute("CREATE OR REPLACE MACRO uuid_of(k) AS ('00000000-0000-0000-0000-' || lpad(k::VARCHAR, 12, '0'))::UUID")
        connection.execute(f"COPY ({query}) TO '{folder.file('duckdb', name)}' ({options})")
    first = folder.next_keys(ROWS)
    connection.register('scored', pa.table(scored_columns(first, ROWS)))
    connection.execute(f"COPY (SELECT *, INTERVAL (key) DAY AS span FROM scored) TO '{folder.file('duckdb-interval', 'interval')}'")
    ids = ', '.join(f'{name}: {i + 4}' for i, name in enumerate(scored_columns(0, 0)))
    connection.execute(f"COPY scored TO '{folder.file('duckdb-field-ids', 'field-ids')}' (field_ids {{{ids}}})")


def write(folder):
    pandas_files(folder)
    polars_files(folder)
    duckdb_files(folder)
