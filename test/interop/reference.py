"""
What a pipeline means, computed the plain way: pyarrow (DuckDB for SQL), numpy and Python's onnxruntime with one thread.

Batches have the borders that Colonnade promises: windows of `batch_size` rows that start anew with every row group;
rows that are invalid or not asked for are left out, the others of the window are one call of the model.
"""
import json
from functools import cache

import duckdb
import numpy as np
import onnx
import onnxruntime as ort
import pyarrow as pa
import pyarrow.parquet as pq

SCORED, QUARANTINED, NULLED, FILTERED = range(4)
NUMPY = {'tensor(float)': np.float32, 'tensor(double)': np.float64, 'tensor(int64)': np.int64, 'tensor(int32)': np.int32,
         'tensor(bool)': np.bool_, 'tensor(string)': object}
ARROW = {np.dtype('float32'): pa.float32(), np.dtype('float64'): pa.float64(), np.dtype('int64'): pa.int64()}


@cache
def model_of(path):
    """Session, and the labels of the classes where a classifier in the graph names them."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    labels = None
    for node in onnx.load(path).graph.node:
        for attribute in node.attribute:
            if attribute.name in ('classlabels_int64s', 'classlabels_ints', 'classlabels_strings'):
                values = list(attribute.ints) or [label.decode() for label in attribute.strings]
                if values:
                    labels = values
    return session, labels


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


class Rows:
    """The rows of one file of the source."""

    def __init__(self, file):
        self.file = file
        self.own = pq.read_schema(file['path'])
        self.count = pq.read_metadata(file['path']).num_rows

    def column(self, name):
        if name not in self.own.names:
            return pa.array([self.file['hive'][name]] * self.count, pa.string())
        # Not read_table: it takes folders such as `region=north` on the way for a column.
        values = pq.ParquetFile(self.file['path']).read([name]).column(name).combine_chunks()
        return values.cast(values.type.value_type) if pa.types.is_dictionary(values.type) else values

    def sql(self, expression):
        hive = ''.join(f", '{value}' AS {quoted(name)}" for name, value in self.file['hive'].items() if name not in self.own.names)
        query = f"""SELECT ({expression}) AS value FROM
          (SELECT *{hive} FROM read_parquet('{self.file['path']}', file_row_number = true, hive_partitioning = false))
          ORDER BY file_row_number"""
        table = duckdb.sql(query).to_arrow_table()
        return table.column(0).combine_chunks()

    def feature(self, feature):
        return self.sql(feature['sql']) if 'sql' in feature else self.column(feature['name'])


def numbers(values, dtype):
    """(values with 0 or '' where they are NULL, which are NULL)"""
    null = values.is_null().to_numpy(zero_copy_only=False)
    if dtype is object:
        return np.array(values.fill_null('').to_pylist(), object), null
    if pa.types.is_decimal(values.type):
        values = values.cast(pa.float64())
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.uint8())
    return values.fill_null(0).to_numpy(zero_copy_only=False).astype(dtype), null


def lists(values, dtype, width):
    null = values.is_null().to_numpy(zero_copy_only=False)
    matrix = np.zeros((len(values), width), dtype)
    for row, value in enumerate(values.to_pylist()):
        if value is None or len(value) != width or None in value:
            null[row] = True
        else:
            matrix[row] = value
    return matrix, null


def judge(values, null, rule):
    """Which rows a rule finds invalid; and the values with what stands for the missing ones."""
    missing = rule.get('missing', 'invalid')
    if values.dtype == object:
        invalid = null if missing == 'invalid' else np.zeros(len(null), bool)
        return invalid, np.where(null, '' if missing == 'invalid' else missing.get('value'), values)
    floating = values.dtype.kind == 'f'
    nan = floating & np.isnan(values) if floating else np.zeros(values.shape, bool)
    low = rule.get('min', -np.inf)
    high = rule.get('max', np.inf)
    if floating:
        low, high = values.dtype.type(low), values.dtype.type(high)
    gone = null if values.ndim == 1 else np.zeros(values.shape, bool)
    finite = np.isfinite(values) if floating else np.ones(values.shape, bool)
    infinite = ~finite & ~nan
    bad = ~gone & ((finite & ((values < low) | (values > high))))
    bad |= ~gone & infinite & (rule.get('infinite', 'invalid') == 'invalid')
    if missing == 'invalid':
        bad |= gone | nan
    invalid = bad if values.ndim == 1 else bad.any(axis=1) | null
    filler = values.dtype.type(np.nan) if missing == 'nan' else (values.dtype.type(missing['value']) if isinstance(missing, dict) else None)
    return invalid, values if filler is None else np.where(gone | nan, filler, values)


def assigned(pipeline, session):
    """The features of each input of the model."""
    named = {feature['name']: feature for feature in pipeline['features']}
    if pipeline['model'].get('inputs'):
        return {name: [named[each] for each in names] for name, names in pipeline['model']['inputs'].items()}
    inputs = session.get_inputs()
    return {inputs[0].name: pipeline['features']} if len(inputs) == 1 else {each.name: [named[each.name]] for each in inputs}


def matrix_of(output, labels):
    """An output of the model as an array; maps of ZipMap as a matrix in the order of the classes."""
    if isinstance(output, list):
        if isinstance(output[0], dict):
            return np.array([[row[label] for label in labels] for row in output], np.float32)
        return np.array(output, object)
    return output


def taken(output, take, labels):
    """One value, or one list, a row."""
    rows = output.shape[0]
    kind = take['kind']
    if kind == 'whole':
        return output.reshape(rows)
    if kind == 'class':
        return output[:, [str(label) for label in labels].index(str(take['label']))]
    if kind == 'index':
        return output[:, take['index']]
    if kind == 'list':
        return output
    if take['reduce'] == 'max':
        return output.max(axis=1)
    if take['reduce'] == 'argmax':
        return output.argmax(axis=1).astype(np.int64)
    wide = np.sort(output.astype(np.float64), axis=1)
    if take['reduce'] == 'margin':
        return (wide[:, -1] - wide[:, -2]).astype(output.dtype)
    wide = output.astype(np.float64)
    return -np.where(wide == 0, 0, wide * np.log(np.where(wide == 0, 1, wide))).sum(axis=1).astype(output.dtype)


def arrow(values, mask):
    """A column of Arrow, NULL where `mask` says so."""
    if values.ndim == 2:
        kept = np.flatnonzero(~mask)
        offsets = pa.array(np.concatenate([[0], np.cumsum(np.where(mask, 0, values.shape[1]))]).astype(np.int32), mask=np.append(mask, False))
        return pa.ListArray.from_arrays(offsets, pa.array(values[kept].reshape(-1)))
    if values.dtype == object or values.dtype.kind == 'U':
        return pa.array([None if gone else str(value) for value, gone in zip(values, mask)], pa.string())
    return pa.array(values, ARROW.get(values.dtype), mask=mask)


def expected(task):
    """For each file: a table of `_status` and the predictions, NULL where a row was not scored; and what the model was fed."""
    pipeline, size = task['pipeline'], task['batchSize']
    session, labels = model_of(pipeline['model']['path'])
    specs = {spec.name: spec for spec in session.get_inputs()}
    rules = pipeline['validate']['rules']
    result = {}
    for file in task['files']:
        rows = Rows(file)
        invalid = np.zeros(rows.count, bool)
        fed = {}
        names = set()
        for name, features in assigned(pipeline, session).items():
            dtype = NUMPY[specs[name].type]
            columns = []
            for feature in features:
                values = rows.feature(feature)
                nested = pa.types.is_list(values.type) or pa.types.is_large_list(values.type) or pa.types.is_fixed_size_list(values.type)
                array, null = lists(values, dtype, specs[name].shape[1]) if nested else numbers(values, dtype)
                bad, filled = judge(array, null, rules.get(feature['name'], {}))
                invalid |= bad
                columns.append(filled)
                names.add(feature['name'])
            fed[name] = columns[0] if columns[0].ndim == 2 else np.stack(columns, axis=1)
        for name in rules.keys() - names:
            values = rows.column(name)
            number = pa.types.is_integer(values.type) or pa.types.is_floating(values.type) or pa.types.is_decimal(values.type)
            bad, _ = judge(*numbers(values if number else values.is_valid().cast(pa.uint8()), np.float64), rules[name]) if number else (values.is_null().to_numpy(zero_copy_only=False), None)
            invalid |= bad
        asked = np.ones(rows.count, bool)
        if 'where' in pipeline['source']:
            asked = rows.sql(f"coalesce(({pipeline['source']['where']}), false)").to_numpy(zero_copy_only=False).astype(bool)
        kept = asked & ~invalid
        status = np.where(~asked, FILTERED, np.where(kept, SCORED, NULLED if pipeline['validate']['onInvalid'] == 'null' else QUARANTINED))
        result[file['relativePath']] = predicted(pipeline, session, labels, fed, specs, kept, status, row_groups(file['path']), size), fed, kept
    return result


@cache
def type_of(path, name, take):
    """The type of a prediction, by what the model says of a row of zeros."""
    session, labels = model_of(path)
    size = lambda extent: extent if isinstance(extent, int) else 1
    zeros = {spec.name: np.full([size(extent) for extent in spec.shape], '' if spec.type == 'tensor(string)' else 0, NUMPY[spec.type]) for spec in session.get_inputs()}
    values = taken(matrix_of(session.run([name], zeros)[0], labels), json.loads(take), labels)
    return arrow(values, np.zeros(len(values), bool)).type


def row_groups(path):
    metadata = pq.read_metadata(path)
    return [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]


def predicted(pipeline, session, labels, fed, specs, kept, status, groups, size):
    names = [output.name for output in session.get_outputs()]
    parts = {name: [] for name in names}
    start = 0
    for rows in groups:
        for first in range(start, start + rows, size):
            positions = first + np.flatnonzero(kept[first : min(first + size, start + rows)])
            if len(positions) == 0:
                continue
            batch = {name: values[positions] for name, values in fed.items()}
            fixed = next((spec.shape[0] for spec in specs.values() if isinstance(spec.shape[0], int)), len(positions))
            if fixed > len(positions):
                batch = {name: np.concatenate([values, np.repeat(values[-1:], fixed - len(positions), axis=0)]) for name, values in batch.items()}
            if any(len(spec.shape) == 1 for spec in specs.values()):
                batch = {name: values.reshape(-1) if len(specs[name].shape) == 1 else values for name, values in batch.items()}
            for name, output in zip(names, session.run(None, batch)):
                parts[name].append(matrix_of(output, labels)[: len(positions)])
        start += rows
    columns = {'_status': pa.array(status, pa.uint8())}
    for output in pipeline['outputs']:
        scored = parts[output['from']]
        if not scored:
            columns[output['name']] = pa.nulls(len(kept), type_of(pipeline['model']['path'], output['from'], json.dumps(output['take'])))
            continue
        values = taken(np.concatenate(scored), output['take'], labels)
        full = np.zeros((len(kept), *values.shape[1:]), values.dtype)
        full[kept] = values
        columns[output['name']] = arrow(full, ~kept)
    return pa.table(columns)
