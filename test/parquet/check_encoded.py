"""
Holds scores files against what was written, by pyarrow. Usage: check_encoded.py FILES.json, a list of
{path, types: type of each column, groups: for each row group the values of each column, as text}.
Prints {wrong: what is wrong, checked: how many column chunks were looked at}.
"""
import json
import math
import struct
import sys

import pyarrow as pa
import pyarrow.parquet as pq

ARROW = {
    'float32': pa.float32(), 'float64': pa.float64(), 'bool': pa.bool_(), 'string': pa.string(),
    **{f'{sign}int{bits}': getattr(pa, f'{sign}int{bits}')() for sign in ('', 'u') for bits in (8, 16, 32, 64)},
}
wrong = []
checked = 0


def value(kind, text):
    if text is None or kind == 'string':
        return text
    if kind == 'bool':
        return text == 'true'
    return float(text) if kind.startswith('float') else int(text)


def same(a, b):
    if isinstance(a, float) and isinstance(b, float):
        return (math.isnan(a) and math.isnan(b)) or struct.pack('<d', a) == struct.pack('<d', b)
    return type(a) is type(b) and a == b


def check(ok, what):
    if not ok:
        wrong.append(what)


def check_statistics(kind, values, column, what):
    statistics = column.statistics
    nulls = sum(v is None for v in values)
    check(statistics is not None and statistics.has_null_count, f'{what}: no statistics')
    check(statistics.null_count == nulls, f'{what}: {statistics.null_count} NULLs, not {nulls}')
    check(statistics.num_values == len(values) - nulls, f'{what}: {statistics.num_values} values')
    check(column.has_offset_index, f'{what}: no offset index')
    ordered = [v for v in values if v is not None and not (isinstance(v, float) and math.isnan(v))]
    if not ordered:
        check(not statistics.has_min_max, f'{what}: bounds of nothing')
        return
    if kind == 'string' and max(ordered).startswith('\U0010ffff' * 16):
        check(not statistics.has_min_max, f'{what}: bounds above the highest text')
        return
    check(statistics.has_min_max, f'{what}: no bounds')
    if not statistics.has_min_max:
        return
    low, high = statistics.min, statistics.max
    if kind == 'string':
        # Code points sort as their UTF-8 does. What pyarrow gives is decoded strictly.
        low, high = (v.decode('utf-8') if isinstance(v, bytes) else v for v in (low, high))
        check(low <= min(ordered) and max(ordered) <= high, f'{what}: {low!r} to {high!r}')
        check(len(low.encode()) <= 65 and len(high.encode()) <= 65, f'{what}: long bounds')
        return
    if kind.startswith('float'):
        check(not math.isnan(low) and not math.isnan(high), f'{what}: NaN in bounds')
        check(low != 0 or math.copysign(1, low) < 0, f'{what}: the least zero is +0')
        check(high != 0 or math.copysign(1, high) > 0, f'{what}: the greatest zero is -0')
    check(low == min(ordered) and high == max(ordered), f'{what}: {low} to {high}')


for file in json.load(open(sys.argv[1])):
    parquet = pq.ParquetFile(file['path'])
    check(parquet.metadata.num_row_groups == len(file['groups']), f"{file['path']}: row groups")
    for index, group in enumerate(file['groups']):
        table = parquet.read_row_group(index)
        table.validate(full=True)
        metadata = parquet.metadata.row_group(index)
        for i, (kind, texts) in enumerate(zip(file['types'], group)):
            what = f"{file['path']}: {kind} in row group {index}"
            values = [value(kind, text) for text in texts]
            check(table.schema.field(i).type.equals(ARROW[kind]), f'{what}: read as {table.schema.field(i).type}')
            found = table.column(i).to_pylist()
            differ = [row for row, (a, b) in enumerate(zip(values, found)) if not same(a, b)]
            check(len(found) == len(values) and not differ, f'{what}: {len(found)} rows, differing {differ[:5]}')
            check_statistics(kind, values, metadata.column(i), what)
            checked += 1
print(json.dumps({'wrong': wrong[:20], 'checked': checked}))
