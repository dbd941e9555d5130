/**
 * A narrow copy of a Parquet file: some of its columns, their chunks word for word, and the scores beside them. A sink
 * that writes rows anew reads this instead of joining.
 *
 *     projectFile({ source, destination, columns, scores, scoreColumns }): Promise<{ bytes }>
 *
 * Row groups and row order are those of the source. Pages, codecs, statistics and logical types stay; page indexes and
 * bloom filters, which pay only for searching, are left out.
 */
import { open, type FileHandle } from 'node:fs/promises';
import { ColonnadeError } from '../errors.js';
import { systemError } from '../system-errors.js';
import { ARROW_SCHEMA_KEY, ArrowSchemaError, editArrowSchema } from './arrow-schema.js';
import { Appender, openForReading } from './blocks.js';
import { columnChunk, moveColumn, rowGroup, serializeFooter } from './chunks.js';
import { COLUMN, ELEMENT, FILE, KEY_VALUE, MAGIC } from './format.js';
import type { ByteRange, ColumnChunk, Footer } from './footer.js';
import { appendChunk, openScores, pickColumns, withoutBounds, type ScoresGroup } from './score-chunks.js';
import type { SchemaNode } from './schema.js';
import { keyValueStruct, readScoresFile, type ScoresColumn, type ScoresFile } from './scores.js';
import type { ThriftStruct } from './thrift.js';
import { THRIFT, ThriftList } from './thrift.js';
import { WRITER_SCHEMA_KEYS } from './writer-schemas.js';

export interface ProjectOptions {
  readonly source: Footer;
  /** Created, or written over. Not synced to disk: a staging file. */
  readonly destination: string;
  /** Top-level columns of the source, spelt as there; nested ones come whole. */
  readonly columns: readonly string[];
  /** Scores files whose row groups, taken together in this order, are those of the source. */
  readonly scores: readonly string[];
  /** Columns of the scores, behind those of the source. */
  readonly scoreColumns: readonly string[];
  /** Ends it with its reason; the destination is then a part. */
  readonly signal?: AbortSignal;
}

/** @throws ColonnadeError `COLUMN_MISSING`, `COLUMN_EXISTS`, `NOT_SPLICEABLE`, `LEDGER_UNBALANCED`, `INPUT_CHANGED`, `DISK_FULL`, `IO_FAILED` */
export async function projectFile(options: ProjectOptions): Promise<{ readonly bytes: number }> {
  const { source, destination, scoreColumns, signal } = options;
  const nodes = pickNodes(source, options.columns, scoreColumns);
  const opened: FileHandle[] = [];
  try {
    const groups = await openScores(source, options.scores, opened);
    const [path] = options.scores;
    if (path === undefined)
      throw new ColonnadeError('INTERNAL', `${source.path}: no scores file was given`, { phase: 'sink' });
    const schema = groups[0]?.file ?? (await readScoresFile(path));
    const scores = pickColumns(schema, scoreColumns);
    const from = await openForReading(source.path);
    opened.push(from);
    let target: FileHandle;
    try {
      target = await open(destination, 'w');
    } catch (error) {
      throw systemError(error, 'sink', 'creating', destination);
    }
    opened.push(target);
    const appender = new Appender(target, destination, 0);
    await appender.write(Buffer.from(MAGIC));
    const rowGroups: ThriftStruct[] = [];
    for (const [index, group] of groups.entries()) {
      rowGroups.push(await projectRowGroup(source, index, nodes, group, scoreColumns, from, appender, signal));
    }
    await appender.write(serializeFooter(projectedFooter(source, nodes, scores, schema, rowGroups)));
    await appender.flush();
    return { bytes: appender.position };
  } finally {
    for (const handle of opened) await handle.close();
  }
}

function pickNodes(source: Footer, columns: readonly string[], scoreColumns: readonly string[]): readonly SchemaNode[] {
  if (source.encrypted || source.rowGroups.some(({ chunks }) => chunks.some((chunk) => chunk.filePath !== undefined))) {
    throw new ColonnadeError('NOT_SPLICEABLE', `${source.path}: its columns are encrypted or lie in other files`, {
      phase: 'sink',
      hint: 'write the file anew with the tool that made it, without encryption and in one piece',
    });
  }
  const names = source.schema.children.map(({ name }) => name);
  const clash = columns.find((column) => scoreColumns.some((score) => score.toLowerCase() === column.toLowerCase()));
  if (clash !== undefined) {
    throw new ColonnadeError('COLUMN_EXISTS', `${source.path}: "${clash}" is a column of the file and an output`, {
      phase: 'sink',
      hint: 'give the output another name, or leave the column out of sink.columns',
    });
  }
  return columns.map((column) => {
    const node = source.schema.children[names.indexOf(column)];
    if (node !== undefined) return node;
    throw new ColonnadeError(
      'COLUMN_MISSING',
      `${source.path}: it has no column "${column}"; it has ${names.join(', ')}`,
      {
        phase: 'sink',
        hint: 'spell it as in the file',
      },
    );
  });
}

async function projectRowGroup(
  source: Footer,
  index: number,
  nodes: readonly SchemaNode[],
  group: ScoresGroup,
  scoreColumns: readonly string[],
  from: FileHandle,
  appender: Appender,
  signal: AbortSignal | undefined,
): Promise<ThriftStruct> {
  const firstByte = appender.position;
  const chunks: ThriftStruct[] = [];
  const old = source.rowGroups[index]?.chunks ?? [];
  for (const chunk of nodes.flatMap((node) => old.slice(...node.leaves))) {
    signal?.throwIfAborted();
    const { offset, length } = pagesToCopy(source, chunk);
    const delta = appender.position - offset;
    await appender.copy(from, source.path, offset, length);
    const metadata = moveColumn(chunk.metadata, delta).without(COLUMN.bloomOffset, COLUMN.bloomLength);
    chunks.push(columnChunk(metadata));
  }
  for (const name of scoreColumns) {
    const chunk = await appendChunk(group, name, appender);
    chunks.push((source.columnOrders ? chunk : withoutBounds(chunk)).tree);
  }
  return rowGroup(group.rows, chunks, firstByte, index);
}

/** Java writers before 1.2.9 left the header of the dictionary page out of the size (PARQUET-816): some more is taken then. */
function pagesToCopy(source: Footer, chunk: ColumnChunk): ByteRange {
  const { offset, length } = chunk.pages;
  const old = /^parquet-mr(?! version (1\.2\.(9|\d\d)|1\.([3-9]|\d\d)|[2-9]))/.test(source.createdBy ?? '');
  return old && length > 0 ? { offset, length: Math.min(length + 100, source.start - offset) } : { offset, length };
}

function projectedFooter(
  source: Footer,
  nodes: readonly SchemaNode[],
  scores: readonly ScoresColumn[],
  scoresFile: ScoresFile,
  rowGroups: readonly ThriftStruct[],
): ThriftStruct {
  const elements = source.tree.structs(FILE.schema);
  const scoreElements = scoresFile.footer.tree.structs(FILE.schema);
  const root = (elements[0] as ThriftStruct).with(ELEMENT.numChildren, THRIFT.i32, nodes.length + scores.length);
  const schema = [
    root,
    ...nodes.flatMap((node) => elements.slice(...node.elements)),
    ...scores.flatMap(({ node }) => scoreElements.slice(...node.elements)),
  ];
  const footer = source.tree
    .with(FILE.schema, THRIFT.list, new ThriftList(THRIFT.struct, schema))
    .with(FILE.rowGroups, THRIFT.list, new ThriftList(THRIFT.struct, rowGroups))
    .with(
      FILE.keyValues,
      THRIFT.list,
      new ThriftList(THRIFT.struct, projectedMetadata(source, nodes, scores, scoresFile)),
    );
  const orders = source.tree.list(FILE.columnOrders)?.values;
  if (orders === undefined) return footer;
  const scoreOrders = scoresFile.footer.tree.list(FILE.columnOrders)?.values ?? [];
  const picked = [
    ...nodes.flatMap((node) => orders.slice(...node.leaves)),
    ...scores.flatMap(({ node }) => scoreOrders.slice(...node.leaves)),
  ];
  return footer.with(FILE.columnOrders, THRIFT.list, new ThriftList(THRIFT.struct, picked));
}

/** Other keys may be needed to understand columns (`geo`, for one); those that list all columns would be wrong. */
function projectedMetadata(
  source: Footer,
  nodes: readonly SchemaNode[],
  scores: readonly ScoresColumn[],
  scoresFile: ScoresFile,
): readonly ThriftStruct[] {
  return source.tree.structs(FILE.keyValues).flatMap((tree) => {
    const key = tree.text(KEY_VALUE.key) ?? '';
    if (WRITER_SCHEMA_KEYS.has(key)) return [];
    if (key !== ARROW_SCHEMA_KEY) return [tree];
    try {
      const arrow = editArrowSchema(tree.text(KEY_VALUE.value) ?? '', {
        keep: nodes.map((node) => source.schema.children.indexOf(node)),
        add: { from: scoresFile.arrowSchema, names: scores.map(({ name }) => name) },
      });
      return [keyValueStruct(key, arrow)];
    } catch (error) {
      // Without it readers fall back on Parquet's own types, which are right.
      if (error instanceof ArrowSchemaError) return [];
      throw error;
    }
  });
}
