"""
Holds runs of Colonnade against sources, reference and readers. Usage: check_outputs.py TASKS.json FOLDER; a task is what
`taskOf` in pipelines.ts makes. Prints {wrong: [what is wrong], unread: [which reader cannot read which folder of sources either]}, and leaves what the predictions should be in
FOLDER/<number of the task>/<relative path> (`_status` and the outputs, row by row).
"""
import json
import sys
from pathlib import Path
from urllib.parse import unquote

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from comparing import decoded, difference, same_scores
from reference import NULLED, QUARANTINED, SCORED, expected

wrong = []
unread = set()


class Check:
    """Collects what is wrong with one run, under the name of who saw it."""

    def __init__(self, name):
        self.name = name

    def that(self, ok, what):
        if not ok:
            wrong.append(f'{self.name}: {what}')

    def columns(self, got, want, names, what):
        for name in names:
            found = difference(got.column(name), want.column(name))
            self.that(found is None, f'{what}: {name}: {found}')

    def scores(self, got, want, pipeline, what):
        for output in pipeline['outputs']:
            name = output['name']
            exact = output['take'].get('reduce') != 'entropy'
            self.that(same_scores(got.column(name), want.column(name).combine_chunks(), exact), f'{what}: prediction {name} is wrong')


def read_pyarrow(path):
    return pq.ParquetFile(path).read()


def read_polars(path):
    return pl.scan_parquet(path, hive_partitioning=False).collect(engine='streaming').to_arrow()


def read_duckdb(path):
    table = duckdb.sql(f"SELECT * EXCLUDE (file_row_number) FROM read_parquet('{path}', file_row_number = true, hive_partitioning = false) ORDER BY file_row_number")
    return table.to_arrow_table()


READERS = {'pyarrow': read_pyarrow, 'polars': read_polars, 'DuckDB': read_duckdb}


def readers_of(files):
    """Readers that take the files of the source, which Colonnade has not written; those that do not are noted."""
    usable = {}
    for reader, read in READERS.items():
        try:
            for file in files:
                read(file['path'])
            usable[reader] = read
        except BaseException as error:  # a panic in Rust is no Exception
            if isinstance(error, (KeyboardInterrupt, GeneratorExit)):
                raise
            unread.add(f"{reader}: {Path(files[0]['path']).parent.name}")
    return usable


def check_statistics(check, path, source, want):
    """Statistics of the new columns are there and true; a page index is where the source has one."""
    before, after = pq.ParquetFile(source).metadata, pq.ParquetFile(path).metadata
    start = 0
    for i in range(after.num_row_groups):
        group = after.row_group(i)
        old = before.row_group(i)
        check.that(group.num_rows == old.num_rows, f'row group {i} has {group.num_rows} rows')
        indexed = any(old.column(j).has_offset_index for j in range(old.num_columns))
        for j in range(old.num_columns, group.num_columns):
            chunk = group.column(j)
            values = want.column(chunk.path_in_schema.split('.')[0]).slice(start, group.num_rows).to_pylist()
            flat = [v for value in values for v in (value if isinstance(value, list) else [value])]
            present = [v for v in flat if v is not None]
            place = f'{chunk.path_in_schema} in row group {i}'
            if flat:
                check.that(chunk.statistics is not None and chunk.statistics.null_count == len(flat) - len(present), f'null count of {place}')
            if present:
                low, high = min(present), max(present)
                stats = chunk.statistics
                check.that(stats.has_min_max and (stats.min, stats.max) == (low, high), f'bounds of {place}: {stats.min}, {stats.max} instead of {low}, {high}')
            check.that(chunk.has_offset_index == (indexed and group.num_rows > 0), f'offset index of {place}')
            check.that(chunk.has_column_index or not indexed or group.num_rows == 0, f'column index of {place}')
        start += group.num_rows


def check_schema(check, path, source, outputs):
    """The old columns mean to pyarrow what they meant, metadata included."""
    old, new = pq.read_schema(source), pq.read_schema(path)
    check.that(new.names == old.names + outputs, f'columns {new.names}')
    for i, field in enumerate(old):
        check.that(new.field(i).equals(field, check_metadata=True), f'{field} became {new.field(i)}')
    for key, value in (old.metadata or {}).items():
        check.that(key == b'pandas' or (new.metadata or {}).get(key) == value, f'metadata {key}')
    old, new = pq.read_metadata(source), pq.read_metadata(path)
    check.that(new.created_by == old.created_by, f'created_by {new.created_by}')
    check.that(b'colonnade.run_id' in new.metadata and b'colonnade.model_hash' in new.metadata, 'colonnade.* metadata')
    for i in range(len(old.schema)):
        a, b = old.schema.column(i), new.schema.column(i)
        check.that((a.path, a.physical_type, str(a.logical_type), a.max_definition_level) == (b.path, b.physical_type, str(b.logical_type), b.max_definition_level), f'{a} became {b}')


def check_pandas(check, path, source, outputs):
    old, new = pd.read_parquet(source), pd.read_parquet(path)
    check.that(type(new.index) is type(old.index) and new.index.equals(old.index) and new.index.names == old.index.names, f'the index {new.index}')
    check.that([*map(str, new.columns)] == [*map(str, old.columns), *outputs], f'columns {new.columns}')
    check.that(new.columns.names == old.columns.names, f'the name of the columns {new.columns.names}')
    check.that(new.attrs == old.attrs, f'attrs {new.attrs}')
    for i in range(len(old.columns)):
        check.that(new.iloc[:, i].dtype == old.iloc[:, i].dtype and new.iloc[:, i].equals(old.iloc[:, i]), f'column {i}: {old.iloc[:, i].dtype} became {new.iloc[:, i].dtype}')


def check_filters(check, path, pipeline, want, readers):
    """Filters on a new column, which readers push down to statistics and page index, find the right rows."""
    name = next((o['name'] for o in pipeline['outputs'] if o['take']['kind'] in ('index', 'class')), None)
    if name is None or want.num_rows == 0:
        return
    values = want.column(name).to_pylist()
    present = sorted(v for v in values if v is not None)
    if not present:
        return
    for bound in (present[len(present) // 2], present[-1]):
        bound = float(bound)
        right = [v for v in values if v is not None and v >= bound]
        found = {
            'pyarrow': ds.dataset(path).to_table(columns=[name], filter=ds.field(name) >= pa.scalar(bound, pa.float32())).column(name).to_pylist(),
            'DuckDB': [row[0] for row in duckdb.sql(f"SELECT {name} FROM '{path}' WHERE {name} >= {bound!r}::FLOAT").fetchall()],
        }
        if 'polars' in readers:
            found['polars'] = pl.scan_parquet(path).filter(pl.col(name) >= pl.lit(bound, pl.Float32)).select(name).collect().to_series().to_list()
        for reader, got in found.items():
            check.that(got == right, f'filter by {reader}: {len(got)} rows instead of {len(right)}')


def check_append(task, results):
    pipeline = task['pipeline']
    outputs = [output['name'] for output in pipeline['outputs']]
    for file in task['files']:
        source, path = file['path'], str(Path(task['output']) / file['relativePath'])
        check = Check(path)
        want = results[file['relativePath']]
        check_schema(check, path, source, outputs)
        check_statistics(check, path, source, want)
        for reader, read in task['readers'].items():
            old, new = read(source), read(path)
            check.that(new.column_names == old.column_names + outputs, f'{reader}: columns {new.column_names}')
            check.that([new.schema.field(i).type for i in range(len(old.column_names))] == [f.type for f in old.schema], f'{reader}: types {new.schema}')
            check.columns(new, old, old.column_names, reader)
            check.scores(new, want, pipeline, reader)
        if b'pandas' in (pq.read_schema(source).metadata or {}):
            check_pandas(check, path, source, outputs)
        check_filters(check, path, pipeline, want, task['readers'])


def kept_rows(task, results, read):
    """Rows that were scored (or nulled), in the order of the source: its columns as a reader sees them, and predictions."""
    tables = []
    for file in task['files']:
        rows = decoded(read(file['path']).replace_schema_metadata(None))
        for name, value in file['hive'].items():
            if name not in rows.column_names:
                rows = rows.append_column(name, pa.array([value] * rows.num_rows, pa.string()))
        want = results[file['relativePath']]
        for name in want.column_names[1:]:
            rows = rows.append_column(name, want.column(name))
        tables.append(rows.filter(pa.array(np.isin(want.column('_status').to_numpy(), [SCORED, NULLED]))))
    return pa.concat_tables(tables, promote_options='permissive')


def kept_types(names, reader):
    """DuckDB, which writes these files, knows Parquet's types only: what Arrow alone tells of a column is not kept."""
    return [name for name in names if reader != 'polars' or name not in ('date64', 'duration')]


def by_key(table, key):
    return table.take(pa.compute.sort_indices(table.column(key)))


def check_file(check, path, want, reader, task):
    """One written file against the rows that should be in it."""
    outputs = task['pipeline']['outputs']
    names = pq.read_schema(path).names
    check.that(b'colonnade.run_id' in pq.read_metadata(path).metadata, 'colonnade.* metadata')
    got = READERS[reader](path)
    if task['pipeline']['sink']['mode'] == 'partition':
        # The order of rows within a folder is not promised.
        key = task['pipeline']['source']['key'][0]
        got, want = by_key(got, key), by_key(want, key)
    check.that(got.num_rows == want.num_rows, f'{reader}: {got.num_rows} rows instead of {want.num_rows}')
    own = [name for name in names if name not in {output['name'] for output in outputs}]
    check.columns(got, want, kept_types(own, reader), reader)
    check.scores(got, want, {'outputs': [output for output in outputs if output['name'] in names]}, reader)


def check_partition(task, results):
    """One file a folder, which holds the rows of these values; their order is not promised, so the key puts them in line."""
    output = Path(task['output'])
    check = Check(str(output))
    sink = task['pipeline']['sink']
    outputs = [each['name'] for each in task['pipeline']['outputs']]
    source = pq.read_schema(task['files'][0]['path']).names
    columns = sink.get('columns') or [*source, *(name for name in task['files'][0]['hive'] if name not in source), *outputs]
    folders = {}
    for path in sorted(output.rglob('*.parquet')):
        folders.setdefault(path.parent, []).append(str(path))
    for reader, read in task['readers'].items():
        rows = kept_rows(task, results, read)
        texts = {name: rows.column(name).cast(pa.string()).to_pylist() for name in sink['partitionBy']}
        found = 0
        for folder, paths in folders.items():
            check.that(len(paths) == 1, f'{folder} has {len(paths)} files')
            values = dict(part.split('=', 1) for part in folder.relative_to(output).parts)
            check.that(list(values) == sink['partitionBy'], f'folders {values}')
            names = pq.read_schema(paths[0]).names
            wanted = [name for name in columns if name not in values]
            check.that(names == wanted, f'{paths[0]}: columns {names} instead of {wanted}')
            mask = np.ones(rows.num_rows, bool)
            for name, value in values.items():
                value = None if value == '__HIVE_DEFAULT_PARTITION__' else unquote(value)
                mask &= np.array([text == value for text in texts[name]], bool)
            found += int(mask.sum())
            check_file(Check(paths[0]), paths[0], rows.filter(pa.array(mask)), reader, task)
        check.that(found == rows.num_rows, f'{found} rows in folders instead of {rows.num_rows}')
    if folders and len(task['readers']) == len(READERS):
        counted = {
            'pyarrow': ds.dataset(output, partitioning='hive').count_rows(),
            'polars': pl.scan_parquet(f'{output}/**/*.parquet', hive_partitioning=True).select(pl.len()).collect().item(),
            'DuckDB': duckdb.sql(f"SELECT count(*) FROM read_parquet('{output}/**/*.parquet', hive_partitioning = true)").fetchall()[0][0],
        }
        check.that(set(counted.values()) == {rows.num_rows}, f'rows of the data set: {counted}')


def check_predictions(task, results):
    names = [*task['pipeline']['source']['key'], *(output['name'] for output in task['pipeline']['outputs'])]
    for file in task['files']:
        path = str(Path(task['output']) / file['relativePath'])
        Check(path).that(pq.read_schema(path).names == names, f'columns {pq.read_schema(path).names}')
        for reader, read in task['readers'].items():
            check_file(Check(path), path, kept_rows({**task, 'files': [file]}, results, read), reader, task)


def check_quarantine(task, results):
    """Every quarantined row is there with the columns of its source, and says where it came from."""
    written = {}
    if task['quarantine'] is not None:
        written = {str(path.relative_to(task['quarantine'])): str(path) for path in Path(task['quarantine']).rglob('*.parquet')}
    for file in task['files']:
        name = file['relativePath']
        rows = np.flatnonzero(results[name].column('_status').to_numpy() == QUARANTINED)
        path = written.pop(name, None)
        check = Check(f'quarantine of {name} in {task["output"]}')
        check.that((path is not None) == (len(rows) > 0), 'is there or not')
        if path is None:
            continue
        for reader, read in task['readers'].items():
            got = read(path)
            check.that(got.column_names[-3:] == ['_file', '_row', '_reason'], f'{reader}: columns {got.column_names}')
            check.that(got.column('_row').to_pylist() == rows.tolist(), f'{reader}: rows {got.column("_row").to_pylist()[:9]} instead of {rows.tolist()[:9]}')
            check.that(set(got.column('_file').to_pylist()) == {file['path']}, f'{reader}: files')
            check.that(all(got.column('_reason').to_pylist()), f'{reader}: reasons')
            source = decoded(read(file['path']))
            check.columns(got, source.take(pa.array(rows)), kept_types(source.column_names, reader), reader)
    Check(task['output']).that(not written, f'more in the quarantine: {list(written)}')


MODES = {'append': check_append, 'partition': check_partition, 'predictions': check_predictions}

tasks, folder = json.load(open(sys.argv[1])), Path(sys.argv[2])
for number, task in enumerate(tasks):
    try:
        task['readers'] = readers_of(task['files'])
        results = {name: table for name, (table, _, _) in expected(task).items()}
        for name, table in results.items():
            path = folder / str(number) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(table, path)
        status = np.concatenate([table.column('_status').to_numpy() for table in results.values()])
        counts = dict(zip(('scored', 'quarantined', 'nulled', 'filtered'), np.bincount(status, minlength=4).tolist()))
        Check(task['output']).that(task['counts'] == {'rows': len(status), **counts}, f'{task["counts"]} instead of {counts}')
        MODES[task['pipeline']['sink']['mode']](task, results)
        check_quarantine(task, results)
    except BaseException as error:
        import traceback

        wrong.append(f'{task["output"]}: {type(error).__name__}: {error}\n{traceback.format_exc(limit=-4)}')
print(json.dumps({'wrong': wrong, 'unread': sorted(unread)}))
