/**
 * Builds and moves the metadata of column chunks.
 *
 *     moveColumn(metadata, delta), moveOffsetIndex(index, delta)     the same with all offsets moved
 *     columnChunk(metadata), rowGroup(…), serializeFooter(tree)      structs of a footer, and its bytes
 *     writeIndexes(appender, groups)                                 the two sections of a page index
 */
import { CHUNK, COLUMN, MAGIC, OFFSET_INDEX, PAGE_LOCATION, ROW_GROUP } from './format.js';
import type { ByteRange } from './footer.js';
import { THRIFT, ThriftList, ThriftStruct } from './thrift.js';
import { parseThrift, serializeThrift } from './thrift-compact.js';

/** Where the first page lies in a file that begins with a chunk: behind the magic. 0 is not used, as some readers take it for none. */
export const PAGES_ORIGIN = 4;

/** Moves every offset of a `ColumnMetaData` by `delta`. */
export function moveColumn(metadata: ThriftStruct, delta: number): ThriftStruct {
  let moved = metadata;
  for (const id of [COLUMN.dataPageOffset, COLUMN.indexPageOffset, COLUMN.dictionaryPageOffset]) {
    const offset = metadata.int(id);
    // 0 is how some writers say that there is none.
    if (offset !== undefined && offset > 0) moved = moved.with(id, THRIFT.i64, offset + delta);
  }
  return moved;
}

/** Moves the page locations of an `OffsetIndex` by `delta`. */
export function moveOffsetIndex(index: ThriftStruct, delta: number): ThriftStruct {
  const locations = index.list(OFFSET_INDEX.locations);
  if (locations === undefined) return index;
  const moved = index
    .structs(OFFSET_INDEX.locations)
    .map((location) =>
      location.with(PAGE_LOCATION.offset, THRIFT.i64, (location.int(PAGE_LOCATION.offset) ?? 0) + delta),
    );
  return index.with(OFFSET_INDEX.locations, THRIFT.list, locations.with(moved));
}

/** A `ColumnChunk` of pages in the same file. `file_offset` is deprecated, and 0 the value that readers expect. */
export function columnChunk(metadata: ThriftStruct): ThriftStruct {
  return new ThriftStruct([
    { id: CHUNK.fileOffset, type: THRIFT.i64, value: 0 },
    { id: CHUNK.metadata, type: THRIFT.struct, value: metadata },
  ]);
}

/** A `RowGroup` of these `ColumnChunk`s, from scratch. */
export function rowGroup(
  rows: number,
  chunks: readonly ThriftStruct[],
  firstByte: number,
  ordinal: number,
): ThriftStruct {
  const sum = (id: number): number =>
    chunks.reduce((total, chunk) => total + (chunk.struct(CHUNK.metadata)?.int(id) ?? 0), 0);
  const fields = [
    { id: ROW_GROUP.columns, type: THRIFT.list, value: new ThriftList(THRIFT.struct, chunks) },
    { id: ROW_GROUP.totalByteSize, type: THRIFT.i64, value: sum(COLUMN.uncompressedSize) },
    { id: ROW_GROUP.numRows, type: THRIFT.i64, value: rows },
    { id: ROW_GROUP.fileOffset, type: THRIFT.i64, value: firstByte },
    { id: ROW_GROUP.totalCompressedSize, type: THRIFT.i64, value: sum(COLUMN.compressedSize) },
  ];
  // An ordinal has 16 bits; it is for encryption only.
  return new ThriftStruct(
    ordinal < 2 ** 15 ? [...fields, { id: ROW_GROUP.ordinal, type: THRIFT.i16, value: ordinal }] : fields,
  );
}

/** Index pointers of a `ColumnChunk`; undefined takes them away. */
function pointIndexes(
  chunk: ThriftStruct,
  columnIndex: ByteRange | undefined,
  offsetIndex: ByteRange | undefined,
): ThriftStruct {
  let pointed = chunk.without(
    CHUNK.columnIndexOffset,
    CHUNK.columnIndexLength,
    CHUNK.offsetIndexOffset,
    CHUNK.offsetIndexLength,
  );
  if (offsetIndex !== undefined) {
    pointed = pointed
      .with(CHUNK.offsetIndexOffset, THRIFT.i64, offsetIndex.offset)
      .with(CHUNK.offsetIndexLength, THRIFT.i32, offsetIndex.length);
  }
  if (columnIndex !== undefined) {
    pointed = pointed
      .with(CHUNK.columnIndexOffset, THRIFT.i64, columnIndex.offset)
      .with(CHUNK.columnIndexLength, THRIFT.i32, columnIndex.length);
  }
  return pointed;
}

/** The end of a file: footer, its length, magic. */
export function serializeFooter(tree: ThriftStruct): Buffer {
  const footer = serializeThrift(tree);
  const end = Buffer.alloc(8);
  end.writeUInt32LE(footer.length, 0);
  end.write(MAGIC, 4, 'latin1');
  return Buffer.concat([footer, end]);
}

/** Gives bytes by their place in a file; a view that holds until the next read. */
export interface ByteReader {
  read(offset: number, length: number): Promise<Buffer>;
}

/** Takes what comes next in a file. */
export interface ByteAppender {
  /** Where the next byte will lie in the file. */
  readonly position: number;
  write(bytes: Uint8Array): Promise<void>;
}

/** A `ColumnChunk` of a file that is being written, and where its page index is read from; without a reader it has none. */
export interface IndexedChunk {
  readonly tree: ThriftStruct;
  readonly reader?: ByteReader;
  readonly columnIndex?: ByteRange;
  readonly offsetIndex?: ByteRange;
  /** How far its pages were moved from where the offset index has them. */
  readonly delta: number;
}

/**
 * Writes all column indexes, then all offset indexes, row group by row group: two contiguous runs, as some readers
 * take them for. @returns the `ColumnChunk`s, pointing there.
 */
export async function writeIndexes(
  appender: ByteAppender,
  groups: readonly (readonly IndexedChunk[])[],
): Promise<ThriftStruct[][]> {
  const columnIndexes = new Map<IndexedChunk, ByteRange>();
  const offsetIndexes = new Map<IndexedChunk, ByteRange>();
  for (const chunk of groups.flat()) {
    if (chunk.reader === undefined || chunk.columnIndex === undefined) continue;
    const bytes = await chunk.reader.read(chunk.columnIndex.offset, chunk.columnIndex.length);
    columnIndexes.set(chunk, { offset: appender.position, length: bytes.length });
    await appender.write(bytes);
  }
  for (const chunk of groups.flat()) {
    if (chunk.reader === undefined || chunk.offsetIndex === undefined) continue;
    const old = await chunk.reader.read(chunk.offsetIndex.offset, chunk.offsetIndex.length);
    const bytes = chunk.delta === 0 ? old : serializeThrift(moveOffsetIndex(parseThrift(old).struct, chunk.delta));
    offsetIndexes.set(chunk, { offset: appender.position, length: bytes.length });
    await appender.write(bytes);
  }
  return groups.map((chunks) =>
    chunks.map((chunk) => pointIndexes(chunk.tree, columnIndexes.get(chunk), offsetIndexes.get(chunk))),
  );
}
