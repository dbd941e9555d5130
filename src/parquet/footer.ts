/**
 * The footer of a Parquet file: read, checked and given as a typed view over its Thrift tree.
 *
 *     readFooter(path): Promise<Footer>                    throws ColonnadeError BAD_PARQUET, INPUT_GONE, IO_FAILED
 *     readFooterNow(path): Footer                          the same, while the caller waits
 *     parseFooter(bytes, place): Footer                    the same from bytes in memory
 *     topLevelColumns(footer): readonly SchemaNode[]
 *     keyValue(footer, key): string | undefined
 *
 * Every place that the footer points to lies inside the file once this has returned, the rows of its row groups add up,
 * and each row group has one chunk for each leaf of the schema.
 */
import type { Fingerprint } from '../plan/facts.js';
import {
  badParquet,
  footerBytesIn,
  readFooterBytes,
  readFooterBytesNow,
  WRITE_AGAIN,
  type FooterPlace,
} from './footer-bytes.js';
import {
  CHUNK,
  COLUMN,
  FILE,
  KEY_VALUE,
  PHYSICAL_TYPES,
  ROW_GROUP,
  codecName,
  encodingName,
  type PhysicalType,
} from './format.js';
import { parseSchema, type SchemaNode } from './schema.js';
import { ThriftError, ThriftStruct, type ThriftValue } from './thrift.js';
import { parseThrift } from './thrift-compact.js';

/** A range of bytes of the file. */
export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/** The values of one leaf column in one row group. */
export interface ColumnChunk {
  /** Names from the top-level column down to the leaf, as in the schema. */
  readonly path: readonly string[];
  readonly type: PhysicalType;
  readonly codec: string;
  readonly encodings: readonly string[];
  /** Values, NULLs and empty lists included: rows, for a column that is not in a list. */
  readonly values: number;
  /** Dictionary and data pages. */
  readonly pages: ByteRange;
  readonly uncompressedBytes: number;
  readonly columnIndex?: ByteRange;
  readonly offsetIndex?: ByteRange;
  readonly bloomFilter: boolean;
  /** Another file that holds the pages. */
  readonly filePath?: string;
  /** True where the chunk is encrypted by a key of its own; its metadata may then be missing. */
  readonly encrypted: boolean;
  /** The `ColumnChunk` of the footer. */
  readonly tree: ThriftStruct;
  /** Its `ColumnMetaData`. */
  readonly metadata: ThriftStruct;
}

export interface RowGroupView {
  readonly rows: number;
  /** Compressed bytes of all its chunks. */
  readonly bytes: number;
  /** One for each leaf of the schema, in its order. */
  readonly chunks: readonly ColumnChunk[];
  readonly tree: ThriftStruct;
}

export interface KeyValue {
  readonly key: string;
  readonly value: string | undefined;
}

export interface Footer {
  readonly path: string;
  /** Bytes of the file. */
  readonly size: number;
  /** Offset of the footer's first byte: all before it is data, indexes and filters. */
  readonly start: number;
  readonly fingerprint: Fingerprint;
  readonly version: number;
  readonly rows: number;
  readonly createdBy: string | undefined;
  readonly schema: SchemaNode;
  /** Leaves of the schema: the columns of a row group. */
  readonly leaves: readonly SchemaNode[];
  readonly rowGroups: readonly RowGroupView[];
  readonly keyValues: readonly KeyValue[];
  /** True where the footer says how the minima and maxima of each leaf are ordered. */
  readonly columnOrders: boolean;
  /** True where some columns are encrypted; a file whose footer is encrypted cannot be read at all. */
  readonly encrypted: boolean;
  /** True where a chunk has an offset index. */
  readonly pageIndex: boolean;
  /** The `FileMetaData`. */
  readonly tree: ThriftStruct;
}

/**
 * Reads and checks the footer of a file: one read of its last 64 KiB, a second one where the footer is longer.
 *
 * @throws ColonnadeError `BAD_PARQUET` for anything that is not a whole, readable Parquet file, with the place;
 * `INPUT_GONE`, `IO_FAILED`.
 */
export async function readFooter(path: string): Promise<Footer> {
  const { bytes, place } = await readFooterBytes(path);
  return parseFooter(bytes, place);
}

/** As {@link readFooter}, while the caller waits: for files that were read a moment ago. */
export function readFooterNow(path: string): Footer {
  const { bytes, place } = readFooterBytesNow(path);
  return parseFooter(bytes, place);
}

/** Of a file that is in memory only. */
export const NO_FINGERPRINT: Fingerprint = { size: 0, mtimeNs: '0', inode: '0', footerHash: '' };

/** The footer of a file that is in memory as a whole. @throws ColonnadeError `BAD_PARQUET` */
export function footerIn(path: string, file: Buffer): Footer {
  const { bytes, start } = footerBytesIn(path, file);
  return parseFooter(bytes, { path, size: file.length, start, fingerprint: NO_FINGERPRINT });
}

/** Parses and checks a footer that is in memory. @throws ColonnadeError `BAD_PARQUET` */
export function parseFooter(bytes: Uint8Array, place: FooterPlace): Footer {
  try {
    return new FooterView(parseThrift(bytes).struct, place).view();
  } catch (error) {
    if (!(error instanceof ThriftError)) throw error;
    const at = error.offset === undefined ? '' : ` at byte ${place.start + error.offset}`;
    throw badParquet(
      place.path,
      `its footer (bytes ${place.start} to ${place.size - 8}) is damaged${at}: ${error.message}`,
      WRITE_AGAIN,
      error,
    );
  }
}

/** For each leaf whether it, or what it is in, may come several times in a row. */
function repeatedLeaves(schema: SchemaNode): boolean[] {
  const into: boolean[] = [];
  const visit = ({ repetition, children }: SchemaNode, above: boolean): void => {
    const repeated = above || repetition === 'repeated';
    if (children.length === 0) into.push(repeated);
    for (const child of children) visit(child, repeated);
  };
  for (const column of schema.children) visit(column, false);
  return into;
}

class FooterView {
  private readonly tree: ThriftStruct;
  private readonly place: FooterPlace;
  private readonly encodingNames = new Map<string, readonly string[]>();

  constructor(tree: ThriftStruct, place: FooterPlace) {
    this.tree = tree;
    this.place = place;
  }

  view(): Footer {
    const { tree, place } = this;
    const schema = parseSchema(tree.structs(FILE.schema));
    const leaves = leavesOf(schema);
    const repeated = repeatedLeaves(schema);
    const encrypted = tree.has(FILE.encryptionAlgorithm);
    const rowGroups = tree.structs(FILE.rowGroups).map((group, index) => this.rowGroup(group, index, leaves, repeated));
    const rows = count(tree.int(FILE.numRows), () => 'the number of rows');
    const sum = rowGroups.reduce((total, group) => total + group.rows, 0);
    if (sum !== rows) throw new ThriftError(`it claims ${rows} rows, its row groups hold ${sum}`);
    const orders = tree.list(FILE.columnOrders);
    if (orders !== undefined && orders.values.length !== leaves.length) {
      throw new ThriftError(`it orders ${orders.values.length} columns of ${leaves.length}`);
    }
    return {
      ...place,
      tree,
      schema,
      leaves,
      rows,
      rowGroups,
      version: tree.int(FILE.version) ?? 1,
      createdBy: tree.text(FILE.createdBy),
      keyValues: tree.structs(FILE.keyValues).map((entry) => ({
        key: entry.text(KEY_VALUE.key) ?? '',
        value: entry.text(KEY_VALUE.value),
      })),
      columnOrders: orders !== undefined,
      encrypted: encrypted || rowGroups.some((group) => group.chunks.some((chunk) => chunk.encrypted)),
      pageIndex: rowGroups.some((group) => group.chunks.some((chunk) => chunk.offsetIndex !== undefined)),
    };
  }

  private rowGroup(
    tree: ThriftStruct,
    index: number,
    leaves: readonly SchemaNode[],
    repeated: readonly boolean[],
  ): RowGroupView {
    const columns = tree.structs(ROW_GROUP.columns);
    if (columns.length !== leaves.length) {
      throw new ThriftError(`row group ${index} has ${columns.length} columns, the schema ${leaves.length}`);
    }
    const rows = count(tree.int(ROW_GROUP.numRows), () => `the number of rows of row group ${index}`);
    const chunks = columns.map((column, leaf) => this.chunk(column, index, leaves[leaf] as SchemaNode));
    for (const [leaf, { values, encrypted }] of chunks.entries()) {
      // NULLs count as values. A reader that believes the rows would make some up, or leave some out.
      if (encrypted || (repeated[leaf] === true ? values >= rows : values === rows)) continue;
      const { name } = leaves[leaf] as SchemaNode;
      throw new ThriftError(`row group ${index} claims ${rows} rows, its column "${name}" holds ${values} values`);
    }
    const bytes = chunks.reduce((total, chunk) => total + chunk.pages.length, 0);
    return { rows, bytes, chunks, tree };
  }

  private chunk(tree: ThriftStruct, group: number, leaf: SchemaNode): ColumnChunk {
    const encrypted = tree.has(CHUNK.crypto);
    const metadata = tree.struct(CHUNK.metadata);
    const what = (): string => `column "${leaf.name}" of row group ${group}`;
    const filePath = tree.text(CHUNK.filePath);
    if (metadata === undefined) {
      if (!encrypted) throw new ThriftError(`${what()} has no metadata`);
      return {
        ...EMPTY_CHUNK,
        path: leaf.path,
        type: leaf.type ?? 'BYTE_ARRAY',
        encrypted,
        tree,
        ...(filePath === undefined ? {} : { filePath }),
      };
    }
    const code = metadata.int(COLUMN.type);
    const type = PHYSICAL_TYPES[code ?? -1];
    if (type === undefined || type !== leaf.type) {
      throw new ThriftError(`${what()} is of type ${type ?? code}, the schema says ${leaf.type}`);
    }
    const columnIndex = this.range(
      tree,
      CHUNK.columnIndexOffset,
      CHUNK.columnIndexLength,
      () => `the column index of ${what()}`,
    );
    const offsetIndex = this.range(
      tree,
      CHUNK.offsetIndexOffset,
      CHUNK.offsetIndexLength,
      () => `the offset index of ${what()}`,
    );
    return {
      path: leaf.path,
      type,
      codec: codecName(metadata.int(COLUMN.codec) ?? -1),
      encodings: this.encodings(metadata.list(COLUMN.encodings)?.values ?? []),
      values: count(metadata.int(COLUMN.numValues), () => `the number of values of ${what()}`),
      pages: this.pages(metadata, what, filePath),
      uncompressedBytes: count(metadata.int(COLUMN.uncompressedSize), () => `the uncompressed size of ${what()}`),
      ...(columnIndex === undefined ? {} : { columnIndex }),
      ...(offsetIndex === undefined ? {} : { offsetIndex }),
      bloomFilter: metadata.has(COLUMN.bloomOffset),
      ...(filePath === undefined ? {} : { filePath }),
      encrypted,
      tree,
      metadata,
    };
  }

  /** Few combinations, many chunks: each is put together once. */
  private encodings(codes: readonly ThriftValue[]): readonly string[] {
    const key = codes.map(Number).join();
    const known = this.encodingNames.get(key) ?? codes.map((code) => encodingName(Number(code)));
    this.encodingNames.set(key, known);
    return known;
  }

  private pages(metadata: ThriftStruct, what: Name, filePath: string | undefined): ByteRange {
    const length = count(metadata.int(COLUMN.compressedSize), () => `the size of ${what()}`);
    const data = count(metadata.int(COLUMN.dataPageOffset), () => `the offset of ${what()}`);
    // 0 says that there is no such page: some writers write it for the dictionary, Arrow C++ for chunks without values.
    const dictionary = metadata.int(COLUMN.dictionaryPageOffset) ?? 0;
    const places = [dictionary, data].filter((place) => place !== 0);
    const offset = Math.min(...places, this.place.start);
    if (length > 0 && filePath === undefined && (offset < 4 || offset + length > this.place.start)) {
      throw new ThriftError(
        `${what()} lies at bytes ${offset} to ${offset + length}, outside the data (4 to ${this.place.start})`,
      );
    }
    return { offset, length };
  }

  private range(tree: ThriftStruct, offsetId: number, lengthId: number, what: Name): ByteRange | undefined {
    const offset = tree.int(offsetId);
    const length = tree.int(lengthId);
    if (offset === undefined || length === undefined || length === 0) return undefined;
    if (offset < 4 || length < 0 || offset + length > this.place.start) {
      throw new ThriftError(
        `${what()} lies at bytes ${offset} to ${offset + length}, outside the data (4 to ${this.place.start})`,
      );
    }
    return { offset, length };
  }
}

const EMPTY_CHUNK = {
  codec: 'encrypted',
  encodings: [],
  values: 0,
  pages: { offset: 0, length: 0 },
  uncompressedBytes: 0,
  bloomFilter: false,
  metadata: new ThriftStruct(),
} as const;

/** The name of a value, put together only for an error: a footer has hundreds of thousands of values. */
type Name = () => string;

function count(value: number | undefined, what: Name): number {
  if (value === undefined) throw new ThriftError(`${what()} is missing`);
  if (value < 0) throw new ThriftError(`${what()} is ${value}`);
  return value;
}

function leavesOf(node: SchemaNode): SchemaNode[] {
  return node.type === undefined ? node.children.flatMap(leavesOf) : [node];
}

/** The columns as people see them: leaves and groups right below the root. */
export function topLevelColumns(footer: Footer): readonly SchemaNode[] {
  return footer.schema.children;
}

/** The value of a key of the file's metadata; of the first one where it stands there twice. */
export function keyValue(footer: Footer, key: string): string | undefined {
  return footer.keyValues.find((entry) => entry.key === key)?.value;
}
