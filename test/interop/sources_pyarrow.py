"""Files by pyarrow: every layout of pages and metadata that it can write, and every type."""
import datetime as dt
import decimal
import uuid

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sources_common import FEATURES, scored_columns

ROWS = 600
CODECS = ('none', 'snappy', 'gzip', 'zstd', 'brotli', 'lz4')


def flat(folder, rows=ROWS):
    first = folder.next_keys(rows)
    return pa.table(scored_columns(first, rows) | {'text': pa.array([None if k % 11 == 0 else f'text {k % 90}' for k in range(first, first + rows)], pa.string())})


def layouts(folder):
    """One schema, many ways to lay it out."""

    def write(name, table=None, **options):
        pq.write_table(flat(folder) if table is None else table, folder.file('pyarrow-layouts', name), **options)

    write('plain')
    write('index', write_page_index=True, row_group_size=257, data_page_size=512)
    write('pages-v2', data_page_version='2.0', version='2.6', write_page_index=True)
    write('format-1', version='1.0', row_group_size=250)
    write('many-groups', row_group_size=7, write_page_index=True)
    write('one-row-groups', flat(folder, 40), row_group_size=1)
    write('no-rows', flat(folder, 0))
    write('no-rows-index', flat(folder, 0), write_page_index=True)
    write('no-statistics', write_statistics=False)
    write('some-statistics', write_statistics=['key'], write_page_index=True)
    write('checksums', write_page_checksum=True)
    write('sorted', sorting_columns=[pq.SortingColumn(0)])
    write('no-dictionary', use_dictionary=False, column_encoding={'key': 'DELTA_BINARY_PACKED', 'text': 'DELTA_BYTE_ARRAY', 'avg_basket': 'BYTE_STREAM_SPLIT'})
    write('bloom', bloom_filter_options={'key': True, 'text': True}, row_group_size=300)
    for codec in CODECS:
        write(codec, compression=codec, row_group_size=200, write_page_index=codec in ('gzip', 'brotli'))
    write('codecs-by-column', compression={'key': 'zstd', 'text': 'gzip', 'avg_basket': 'none', **dict.fromkeys(['site', *FEATURES[:3]], 'snappy')})
    table = flat(folder)
    with pq.ParquetWriter(folder.file('pyarrow-layouts', 'empty-groups'), table.schema, write_page_index=True) as writer:
        for part in (table.slice(0, 0), table.slice(0, 333), table.slice(0, 0), table.slice(333), table.slice(0, 0)):
            writer.write_table(part)
    with pq.ParquetWriter(folder.file('pyarrow-layouts', 'no-groups'), table.schema):
        pass
    table = flat(folder)
    write('field-ids', table.cast(pa.schema([f.with_metadata({'PARQUET:field_id': str(i + 10)}) for i, f in enumerate(table.schema)])))
    full = flat(folder)
    required = pa.schema([f.with_nullable(full[f.name].null_count > 0) for f in full.schema])
    write('required', full.cast(required))
    write('metadata', flat(folder).replace_schema_metadata({'owner': 'tests', 'ключ': 'значение'}))


def nested_columns(first, rows):
    keys = range(first, first + rows)
    return {
        'list': pa.array([None if k % 9 == 0 else [f't{j}' for j in range(k % 4)] for k in keys], pa.list_(pa.string())),
        'large_list': pa.array([[k, None] for k in keys], pa.large_list(pa.int64())),
        'fixed': pa.array([[k, k + 1, k + 2] for k in keys], pa.list_(pa.float32(), 3)),
        'struct': pa.array([{'a': k, 'b': {'c': [k / 2, None]}} if k % 6 else None for k in keys]),
        'structs': pa.array([[{'x': k, 'y': None if k % 2 else str(k)}] * (k % 3) for k in keys]),
        'map': pa.array([[('k', k)] * (k % 2) for k in keys], pa.map_(pa.string(), pa.int32())),
        'lists': pa.array([[[k], [], None] for k in keys], pa.list_(pa.list_(pa.int16()))),
    }


def text_columns(first, rows):
    keys = range(first, first + rows)
    return {
        'category': pa.array([None if k % 13 == 0 else f'c{k % 4}' for k in keys]).dictionary_encode(),
        'ordered': pa.DictionaryArray.from_arrays(pa.array([k % 3 for k in keys], pa.int8()), pa.array(['low', 'mid', 'high']), ordered=True),
        'large': pa.array([f'large {k}' for k in keys], pa.large_string()),
        'view': pa.array([f'view {k}' for k in keys], pa.string_view()),
        'unicode': pa.array(['ä\u0000€😀'[: k % 5] for k in keys]),
        'bytes': pa.array([bytes([k % 256, 0, 255]) for k in keys], pa.binary()),
        'fixed_bytes': pa.array([bytes([k % 256]) * 5 for k in keys], pa.binary(5)),
        'uuid': pa.array([uuid.UUID(int=k).bytes for k in keys], pa.uuid()),
        'nothing': pa.nulls(rows),
        'flag': pa.array([k % 2 == 0 for k in keys]),
    }


def number_columns(first, rows):
    keys = np.arange(first, first + rows)
    widths = {f'{"u" if unsigned else ""}int{bits}': getattr(pa, f'{"u" if unsigned else ""}int{bits}')() for unsigned in (False, True) for bits in (8, 16, 32, 64)}
    numbers = {name: pa.array(keys % 100, type_) for name, type_ in widths.items()}
    numbers['uint64'] = pa.array([2**64 - 1 - int(k) for k in keys], pa.uint64())
    numbers['half'] = pa.array((keys % 100 / 8).astype(np.float16))
    numbers['float'] = pa.array(np.where(keys % 5 == 0, np.nan, keys / 3), pa.float32())
    decimals = [(5, 2), (18, 4), (28, 3), (38, 10)]
    for precision, scale in decimals:
        values = [decimal.Decimal(int(k) - 300).scaleb(-scale) for k in keys]
        numbers[f'decimal{precision}'] = pa.array(values, pa.decimal128(precision, scale))
    numbers['decimal32'] = pa.array([decimal.Decimal(int(k)).scaleb(-2) for k in keys], pa.decimal32(9, 2))
    numbers['decimal64'] = pa.array([decimal.Decimal(int(k)).scaleb(-2) for k in keys], pa.decimal64(17, 2))
    return numbers


def time_columns(first, rows):
    keys = range(first, first + rows)
    start = dt.datetime(2026, 1, 1)
    times = [start + dt.timedelta(hours=k, milliseconds=k) for k in keys]
    columns = {
        'date': pa.array([None if k % 7 == 0 else start.date() + dt.timedelta(days=k) for k in keys], pa.date32()),
        'date64': pa.array([start.date() - dt.timedelta(days=k) for k in keys], pa.date64()),
        'time32': pa.array([k * 1000 for k in keys], pa.time32('ms')),
        'time64': pa.array([k * 1000 for k in keys], pa.time64('us')),
        'time64_ns': pa.array([k * 1001 for k in keys], pa.time64('ns')),
        'duration': pa.array(list(keys), pa.duration('s')),
    }
    for unit in ('s', 'ms', 'us', 'ns'):
        columns[f'local_{unit}'] = pa.array(times, pa.timestamp('us')).cast(pa.timestamp(unit), safe=False)
        columns[f'utc_{unit}'] = pa.array(times, pa.timestamp('us', 'UTC')).cast(pa.timestamp(unit, 'UTC'), safe=False)
    columns['zoned'] = pa.array(times, pa.timestamp('us', 'Europe/Berlin'))
    return columns


def types(folder):
    """Every type, by theme, each laid out in two ways."""
    for theme, columns in (('nested', nested_columns), ('text', text_columns), ('numbers', number_columns), ('times', time_columns)):
        for name, options in (
            ('plain', {'row_group_size': 250}),
            ('index', {'write_page_index': True, 'data_page_version': '2.0', 'compression': 'zstd', 'data_page_size': 700, 'row_group_size': 333}),
        ):
            first = folder.next_keys(ROWS)
            # The other columns come first, so that what is fed to the model is not at the leaves that its place suggests.
            table = pa.table(columns(first, ROWS) | scored_columns(first, ROWS))
            fields = [f.with_metadata({'unit': f.name}) if f.name == 'key' else f for f in table.schema]
            table = table.cast(pa.schema(fields, metadata={'owner': 'tests'}))
            pq.write_table(table, folder.file(f'pyarrow-{theme}', name), **options)
            if name == 'index':
                first = folder.next_keys(ROWS)
                table = pa.table(columns(first, ROWS) | scored_columns(first, ROWS))
                pq.write_table(table, folder.file(f'pyarrow-{theme}-no-arrow-schema', name), store_schema=False, store_decimal_as_integer=True)
    first = folder.next_keys(ROWS)
    table = pa.table(scored_columns(first, ROWS) | {'at': pa.array([dt.datetime(1950, 1, 1) + dt.timedelta(days=k) for k in range(ROWS)], pa.timestamp('ns'))})
    pq.write_table(table, folder.file('pyarrow-int96', 'index'), use_deprecated_int96_timestamps=True, row_group_size=100)
    offset = pa.array(range(ROWS), pa.timestamp('ms', '+05:30'))
    pq.write_table(pa.table(scored_columns(folder.next_keys(ROWS), ROWS) | {'at': offset}), folder.file('pyarrow-offset', 'plain'))
    huge = pa.array([decimal.Decimal(k) * decimal.Decimal(10) ** 45 for k in range(ROWS)], pa.decimal256(50, 2))
    table = pa.table(scored_columns(folder.next_keys(ROWS), ROWS) | {'huge': huge})
    pq.write_table(table, folder.file('pyarrow-decimal256', 'plain'))


def write(folder):
    layouts(folder)
    types(folder)
