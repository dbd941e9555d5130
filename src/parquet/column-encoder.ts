/**
 * Encodes the rows of one scalar column as a Parquet column chunk: data pages V1, PLAIN or dictionary, NULLs as definition
 * levels, statistics without NaN, a page index.
 *
 *     new ColumnEncoder(compression).encode(name, column): EncodedChunk
 *
 * @see https://github.com/apache/parquet-format/blob/master/README.md
 */
import { gzipSync } from 'node:zlib';
import { PAGES_ORIGIN } from './chunks.js';
import type { EncodedChunk } from './encode.js';
import {
  COLUMN,
  COLUMN_INDEX,
  COMPRESSION_CODECS,
  DATA_PAGE,
  DICTIONARY_PAGE,
  ENCODING,
  ENCODING_STATS,
  OFFSET_INDEX,
  PAGE_HEADER,
  PAGE_LOCATION,
  PAGE_TYPE,
  PHYSICAL_TYPES,
  STATISTICS,
} from './format.js';
import { bitWidth, encodeHybrid, encodeRun } from './hybrid.js';
import { MOST_DISTINCT } from './number-values.js';
import { compressSnappy, snappyBound } from './snappy.js';
import { countPresent, type Bounds, type StoredColumn, type StoredValues } from './stored-values.js';
import { THRIFT, ThriftList, thriftStruct, thriftText, type ThriftStruct } from './thrift.js';
import { serializeThrift } from './thrift-compact.js';

/** Codecs that pages are compressed with here. */
export type PageCompression = 'none' | 'snappy' | 'gzip';

/** Rows of a page: small enough that skipping by page index pays, as with other writers. */
const PAGE_ROWS = 20_480;

/** Values looked at to guess whether a dictionary pays, and the distinct ones among them at which it no longer does. */
const SAMPLE = 1024;
const FEW_VALUES = 128;

interface Page extends PageSize {
  readonly firstRow: number;
  readonly nulls: number;
  readonly values: number;
  readonly bounds: Bounds | undefined;
}

/** Memory that is used again for every page: what is left to the collector soon adds up to more than all the rest. */
class Scratch {
  #memory: Buffer<ArrayBuffer> = Buffer.alloc(0);

  /** At least `bytes` of it, with the first `kept` as they were. */
  take(bytes: number, kept = 0): Buffer<ArrayBuffer> {
    if (this.#memory.length < bytes) {
      const larger = Buffer.allocUnsafeSlow(Math.max(bytes, 2 * this.#memory.length));
      larger.set(this.#memory.subarray(0, kept));
      this.#memory = larger;
    }
    return this.#memory;
  }
}

/** Encodes columns one after the other. */
export class ColumnEncoder {
  readonly #compression: PageCompression;
  readonly #body = new Scratch();
  readonly #compressed = new Scratch();
  readonly #output = new Scratch();
  /** Bytes of the output so far. */
  #length = 0;

  constructor(compression: PageCompression) {
    this.#compression = compression;
  }

  /**
   * @param column at least one row.
   * @returns a chunk whose pages hold until the next call.
   */
  encode(name: string, column: StoredColumn): EncodedChunk {
    const { rows, present, values } = column;
    this.#length = 0;
    const dictionary = buildDictionary(values);
    const first = dictionary === undefined ? undefined : this.#dictionaryPage(dictionary);
    const pages: Page[] = [];
    for (let row = 0, at = 0; row < rows;) {
      const end = Math.min(rows, row + PAGE_ROWS);
      const count = present === undefined ? end - row : countPresent(present, row, end);
      pages.push(this.#dataPage(column, row, end, at, at + count, dictionary));
      row = end;
      at += count;
    }
    const bytes = this.#output.take(0).subarray(0, this.#length);
    return chunkOf(name, column, pages, first, dictionary !== undefined, bytes, this.#compression);
  }

  /** Rows `[row, end)`, whose values are `[from, to)`. */
  #dataPage(
    { present, values }: StoredColumn,
    row: number,
    end: number,
    from: number,
    to: number,
    dictionary: Dictionary | undefined,
  ): Page {
    const levels = present === undefined ? encodeRun(1, end - row, 1) : encodeHybrid(present, row, end, 1);
    const content =
      dictionary === undefined
        ? values.plain(from, to)
        : encodedIndices(dictionary.indices, from, to, bitWidth(dictionary.firsts.length));
    const length = 4 + levels.length + content.length;
    const body = this.#body.take(length).subarray(0, length);
    body.writeUInt32LE(levels.length, 0);
    body.set(levels, 4);
    body.set(content, 4 + levels.length);
    const header = thriftStruct(
      [DATA_PAGE.values, THRIFT.i32, end - row],
      [DATA_PAGE.encoding, THRIFT.i32, dictionary === undefined ? ENCODING.plain : ENCODING.rleDictionary],
      [DATA_PAGE.definitionLevels, THRIFT.i32, ENCODING.rle],
      [DATA_PAGE.repetitionLevels, THRIFT.i32, ENCODING.rle],
    );
    return {
      ...this.#page(PAGE_TYPE.data, PAGE_HEADER.data, header, body),
      firstRow: row,
      nulls: end - row - (to - from),
      values: to - from,
      bounds: values.bounds(from, to),
    };
  }

  #dictionaryPage({ values, firsts }: Dictionary): PageSize {
    const header = thriftStruct(
      [DICTIONARY_PAGE.values, THRIFT.i32, firsts.length],
      [DICTIONARY_PAGE.encoding, THRIFT.i32, ENCODING.plain],
      [DICTIONARY_PAGE.sorted, THRIFT.true, false],
    );
    return this.#page(PAGE_TYPE.dictionary, PAGE_HEADER.dictionary, header, values.pick(firsts));
  }

  #page(type: number, headerField: number, header: ThriftStruct, body: Uint8Array): PageSize {
    const compressed = this.#compress(body);
    const head = serializeThrift(
      thriftStruct(
        [PAGE_HEADER.type, THRIFT.i32, type],
        [PAGE_HEADER.uncompressedSize, THRIFT.i32, body.length],
        [PAGE_HEADER.compressedSize, THRIFT.i32, compressed.length],
        [headerField, THRIFT.struct, header],
      ),
    );
    const bytes = head.length + compressed.length;
    const output = this.#output.take(this.#length + bytes, this.#length);
    output.set(head, this.#length);
    output.set(compressed, this.#length + head.length);
    this.#length += bytes;
    return { bytes, uncompressed: head.length + body.length };
  }

  #compress(body: Uint8Array): Uint8Array {
    switch (this.#compression) {
      case 'none':
        return body;
      case 'snappy':
        return compressSnappy(body, this.#compressed.take(snappyBound(body.length)));
      case 'gzip':
        return gzipSync(body);
    }
  }
}

interface PageSize {
  /** Bytes of header and body. */
  readonly bytes: number;
  readonly uncompressed: number;
}

function chunkOf(
  name: string,
  { rows, values }: StoredColumn,
  pages: readonly Page[],
  first: PageSize | undefined,
  hasDictionary: boolean,
  bytes: Buffer,
  compression: PageCompression,
): EncodedChunk {
  const uncompressed = pages.reduce((sum, page) => sum + page.uncompressed, first?.uncompressed ?? 0);
  const dataPages = PAGES_ORIGIN + (first?.bytes ?? 0);
  const columnIndex = indexColumn(pages);
  const encoding = hasDictionary ? ENCODING.rleDictionary : ENCODING.plain;
  const metadata = thriftStruct(
    [COLUMN.type, THRIFT.i32, PHYSICAL_TYPES.indexOf(values.physical)],
    [
      COLUMN.encodings,
      THRIFT.list,
      new ThriftList(
        THRIFT.i32,
        hasDictionary ? [ENCODING.plain, ENCODING.rle, encoding] : [ENCODING.plain, ENCODING.rle],
      ),
    ],
    [COLUMN.path, THRIFT.list, new ThriftList(THRIFT.binary, [thriftText(name)])],
    [COLUMN.codec, THRIFT.i32, COMPRESSION_CODECS[compression]],
    [COLUMN.numValues, THRIFT.i64, rows],
    [COLUMN.uncompressedSize, THRIFT.i64, uncompressed],
    [COLUMN.compressedSize, THRIFT.i64, bytes.length],
    [COLUMN.dataPageOffset, THRIFT.i64, dataPages],
    ...(hasDictionary ? [[COLUMN.dictionaryPageOffset, THRIFT.i64, PAGES_ORIGIN] as const] : []),
    [COLUMN.statistics, THRIFT.struct, statistics(pages, values)],
    [
      COLUMN.encodingStats,
      THRIFT.list,
      new ThriftList(THRIFT.struct, [
        ...(hasDictionary ? [encodingCount(PAGE_TYPE.dictionary, ENCODING.plain, 1)] : []),
        encodingCount(PAGE_TYPE.data, encoding, pages.length),
      ]),
    ],
  );
  return {
    rows,
    pages: bytes,
    metadata,
    ...(columnIndex === undefined ? {} : { columnIndex }),
    offsetIndex: indexOffsets(pages, dataPages),
  };
}

interface Dictionary {
  readonly values: StoredValues;
  readonly indices: Uint16Array;
  /** Where each distinct value stands first. */
  readonly firsts: readonly number[];
}

/** A dictionary where it pays: scores are mostly distinct, and then looking for equal ones would cost more than the rest. */
function buildDictionary(values: StoredValues): Dictionary | undefined {
  if (values.length === 0) return undefined;
  const isFloat = values.physical === 'FLOAT' || values.physical === 'DOUBLE';
  if (isFloat && !hasFewValues(values)) return undefined;
  const found = values.indices(Math.min(MOST_DISTINCT, Math.max(1, values.length >> 1)));
  return found === undefined ? undefined : { values, ...found };
}

function hasFewValues(values: StoredValues): boolean {
  const step = Math.max(1, Math.floor(values.length / SAMPLE));
  const seen = new Set<string>();
  for (let at = 0; at < values.length && seen.size <= FEW_VALUES; at += step)
    seen.add(Buffer.from(values.plain(at, at + 1)).toString('latin1'));
  return seen.size <= FEW_VALUES;
}

function encodedIndices(indices: Uint16Array, from: number, to: number, width: number): Uint8Array {
  return Buffer.concat([Buffer.of(width), encodeHybrid(indices, from, to, width)]);
}

/** Least and greatest of all values. */
function statistics(pages: readonly Page[], values: StoredValues): ThriftStruct {
  const nulls = pages.reduce((sum, each) => sum + each.nulls, 0);
  const bounds = values.bounds(0, values.length);
  if (bounds === undefined) return thriftStruct([STATISTICS.nullCount, THRIFT.i64, nulls]);
  return thriftStruct(
    [STATISTICS.nullCount, THRIFT.i64, nulls],
    [STATISTICS.maxValue, THRIFT.binary, bounds.max],
    [STATISTICS.minValue, THRIFT.binary, bounds.min],
    [STATISTICS.maxExact, THRIFT.true, bounds.maxExact],
    [STATISTICS.minExact, THRIFT.true, bounds.minExact],
  );
}

/** `ColumnIndex`; undefined where a page with values has no bounds, which it has no way to say. */
function indexColumn(pages: readonly Page[]): Buffer | undefined {
  if (pages.some(({ values, bounds }) => values > 0 && bounds === undefined)) return undefined;
  const none = new Uint8Array(0);
  const unordered = 0;
  return serializeThrift(
    thriftStruct(
      // In a list, 1 is true and 2 is false.
      [
        COLUMN_INDEX.nullPages,
        THRIFT.list,
        new ThriftList(
          THRIFT.false,
          pages.map(({ values }) => (values === 0 ? 1 : 2)),
        ),
      ],
      [
        COLUMN_INDEX.minValues,
        THRIFT.list,
        new ThriftList(
          THRIFT.binary,
          pages.map(({ bounds }) => bounds?.min ?? none),
        ),
      ],
      [
        COLUMN_INDEX.maxValues,
        THRIFT.list,
        new ThriftList(
          THRIFT.binary,
          pages.map(({ bounds }) => bounds?.max ?? none),
        ),
      ],
      [COLUMN_INDEX.boundaryOrder, THRIFT.i32, unordered],
      [
        COLUMN_INDEX.nullCounts,
        THRIFT.list,
        new ThriftList(
          THRIFT.i64,
          pages.map(({ nulls }) => nulls),
        ),
      ],
    ),
  );
}

/** `OffsetIndex` of pages of which the first lies at `start`. */
function indexOffsets(pages: readonly Page[], start: number): ThriftStruct {
  let offset = start;
  const locations = pages.map(({ bytes, firstRow }) => {
    const location = thriftStruct(
      [PAGE_LOCATION.offset, THRIFT.i64, offset],
      [PAGE_LOCATION.size, THRIFT.i32, bytes],
      [PAGE_LOCATION.firstRow, THRIFT.i64, firstRow],
    );
    offset += bytes;
    return location;
  });
  return thriftStruct([OFFSET_INDEX.locations, THRIFT.list, new ThriftList(THRIFT.struct, locations)]);
}

function encodingCount(pageType: number, encoding: number, count: number): ThriftStruct {
  return thriftStruct(
    [ENCODING_STATS.pageType, THRIFT.i32, pageType],
    [ENCODING_STATS.encoding, THRIFT.i32, encoding],
    [ENCODING_STATS.count, THRIFT.i32, count],
  );
}
