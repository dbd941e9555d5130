/** The footer of a file to which columns were appended: the old one with what they need, and all else as it was. */
import { ARROW_SCHEMA_KEY, editArrowSchema } from './arrow-schema.js';
import { CHUNK, COLUMN, ELEMENT, FILE, ROW_GROUP } from './format.js';
import type { Footer } from './footer.js';
import { keyValueStruct, type ScoresColumn, type ScoresFile } from './scores.js';
import { THRIFT, ThriftList, type ThriftStruct } from './thrift.js';
import { WRITER_SCHEMA_KEYS, extendWriterSchema } from './writer-schemas.js';

/**
 * @param chunks by row group: the old `ColumnChunk`s and the new ones behind them.
 * @param columns the new columns, which `scores` has.
 * @param metadata key-value metadata to add; a key that is there already is replaced.
 */
export function splicedFooter(
  source: Footer,
  chunks: readonly (readonly ThriftStruct[])[],
  columns: readonly ScoresColumn[],
  scores: ScoresFile,
  metadata: Readonly<Record<string, string>>,
): ThriftStruct {
  const { tree } = source;
  const groups = source.rowGroups.map((group, index) => grownRowGroup(group.tree, chunks[index] ?? [], columns.length));
  let footer = tree
    .with(FILE.schema, THRIFT.list, new ThriftList(THRIFT.struct, splicedSchema(source, columns, scores)))
    .with(FILE.rowGroups, THRIFT.list, new ThriftList(THRIFT.struct, groups));
  const entries = splicedMetadata(source, columns, scores, metadata);
  if (entries.length > 0) footer = footer.with(FILE.keyValues, THRIFT.list, new ThriftList(THRIFT.struct, entries));
  const orders = tree.list(FILE.columnOrders);
  if (orders === undefined) return footer;
  const added = columns.flatMap(
    ({ node }) => scores.footer.tree.list(FILE.columnOrders)?.values.slice(...node.leaves) ?? [],
  );
  // An empty list may have been written with any type of element.
  return footer.with(FILE.columnOrders, THRIFT.list, new ThriftList(THRIFT.struct, [...orders.values, ...added]));
}

/** The old row group with more chunks. Its offset, ordinal and sorting columns stay. */
function grownRowGroup(group: ThriftStruct, chunks: readonly ThriftStruct[], added: number): ThriftStruct {
  const sum = (id: number): number =>
    chunks
      .slice(chunks.length - added)
      .reduce((total, chunk) => total + (chunk.struct(CHUNK.metadata)?.int(id) ?? 0), 0);
  const grown = group
    .with(ROW_GROUP.columns, THRIFT.list, new ThriftList(THRIFT.struct, chunks))
    .with(
      ROW_GROUP.totalByteSize,
      THRIFT.i64,
      (group.int(ROW_GROUP.totalByteSize) ?? 0) + sum(COLUMN.uncompressedSize),
    );
  const compressed = group.int(ROW_GROUP.totalCompressedSize);
  return compressed === undefined
    ? grown
    : grown.with(ROW_GROUP.totalCompressedSize, THRIFT.i64, compressed + sum(COLUMN.compressedSize));
}

/** The old elements, one child more for the root, and the new columns' elements; with field ids where the file has them. */
function splicedSchema(source: Footer, columns: readonly ScoresColumn[], scores: ScoresFile): readonly ThriftStruct[] {
  const [root, ...old] = source.tree.structs(FILE.schema);
  const ids = old
    .map((element) => element.int(ELEMENT.fieldId))
    .filter((id) => id !== undefined && id >= 0) as number[];
  let id = ids.reduce((highest, each) => Math.max(highest, each), 0);
  const elements = scores.footer.tree.structs(FILE.schema);
  const added = columns.flatMap(({ node }) =>
    elements.slice(...node.elements).map((element, depth) => {
      // Of a list, the column and its elements have ids; the repeated group between them has none.
      if (ids.length === 0 || depth === 1) return element;
      return element.with(ELEMENT.fieldId, THRIFT.i32, (id += 1));
    }),
  );
  const children = source.schema.children.length + columns.length;
  return [(root as ThriftStruct).with(ELEMENT.numChildren, THRIFT.i32, children), ...old, ...added];
}

function splicedMetadata(
  source: Footer,
  columns: readonly ScoresColumn[],
  scores: ScoresFile,
  metadata: Readonly<Record<string, string>>,
): readonly ThriftStruct[] {
  const entries = source.tree.structs(FILE.keyValues).flatMap((tree, index) => {
    const { key, value } = source.keyValues[index] ?? { key: '', value: undefined };
    if (Object.hasOwn(metadata, key)) return [];
    if (value === undefined) return [tree];
    if (key === ARROW_SCHEMA_KEY) return [keyValueStruct(key, splicedArrowSchema(value, columns, scores))];
    const extended = WRITER_SCHEMA_KEYS.has(key) ? extendWriterSchema(key, value, columns) : undefined;
    return [extended === undefined ? tree : keyValueStruct(key, extended)];
  });
  return [...entries, ...Object.entries(metadata).map(([key, value]) => keyValueStruct(key, value))];
}

/** Arrow's readers take the file's metadata from within the Arrow schema too: what pandas left there is extended as well. */
function splicedArrowSchema(base64: string, columns: readonly ScoresColumn[], scores: ScoresFile): string {
  return editArrowSchema(base64, {
    add: { from: scores.arrowSchema, names: columns.map(({ name }) => name) },
    change: (key, value) => extendWriterSchema(key, value, columns),
  });
}
