/**
 * Field ids and enumerations of Parquet's metadata, as far as they are used here.
 *
 * @see https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
 */
import type { Compression } from '../pipeline/pipeline.js';

export const FILE = {
  version: 1,
  schema: 2,
  numRows: 3,
  rowGroups: 4,
  keyValues: 5,
  createdBy: 6,
  columnOrders: 7,
  encryptionAlgorithm: 8,
  footerSigningKey: 9,
} as const;

export const ELEMENT = {
  type: 1,
  typeLength: 2,
  repetition: 3,
  name: 4,
  numChildren: 5,
  convertedType: 6,
  scale: 7,
  precision: 8,
  fieldId: 9,
  logicalType: 10,
} as const;

export const ROW_GROUP = {
  columns: 1,
  totalByteSize: 2,
  numRows: 3,
  sortingColumns: 4,
  fileOffset: 5,
  totalCompressedSize: 6,
  ordinal: 7,
} as const;

export const CHUNK = {
  filePath: 1,
  fileOffset: 2,
  metadata: 3,
  offsetIndexOffset: 4,
  offsetIndexLength: 5,
  columnIndexOffset: 6,
  columnIndexLength: 7,
  crypto: 8,
  encryptedMetadata: 9,
} as const;

export const COLUMN = {
  type: 1,
  encodings: 2,
  path: 3,
  codec: 4,
  numValues: 5,
  uncompressedSize: 6,
  compressedSize: 7,
  dataPageOffset: 9,
  indexPageOffset: 10,
  dictionaryPageOffset: 11,
  statistics: 12,
  encodingStats: 13,
  bloomOffset: 14,
  bloomLength: 15,
} as const;

export const STATISTICS = {
  max: 1,
  min: 2,
  nullCount: 3,
  maxValue: 5,
  minValue: 6,
  maxExact: 7,
  minExact: 8,
} as const;

export const KEY_VALUE = { key: 1, value: 2 } as const;
export const OFFSET_INDEX = { locations: 1 } as const;
export const PAGE_LOCATION = { offset: 1, size: 2, firstRow: 3 } as const;
export const COLUMN_INDEX = { nullPages: 1, minValues: 2, maxValues: 3, boundaryOrder: 4, nullCounts: 5 } as const;
export const ENCODING_STATS = { pageType: 1, encoding: 2, count: 3 } as const;
/** Values of `PageType`. */
export const PAGE_TYPE = { data: 0, dictionary: 2 } as const;
export const PAGE_HEADER = { type: 1, uncompressedSize: 2, compressedSize: 3, data: 5, dictionary: 7 } as const;
export const DATA_PAGE = { values: 1, encoding: 2, definitionLevels: 3, repetitionLevels: 4 } as const;
export const DICTIONARY_PAGE = { values: 1, encoding: 2, sorted: 3 } as const;
/** Values of `Encoding` that are written here. */
export const ENCODING = { plain: 0, rle: 3, rleDictionary: 8 } as const;

/** Values of the deprecated `ConvertedType` beside logical types. */
export const CONVERTED = { utf8: 0, unsigned8: 11, signed8: 15 } as const;

/** The fields of a union `LogicalType`. */
export const LOGICAL = {
  string: 1,
  map: 2,
  list: 3,
  enum: 4,
  decimal: 5,
  date: 6,
  time: 7,
  timestamp: 8,
  integer: 10,
  unknown: 11,
  json: 12,
  bson: 13,
  uuid: 14,
  float16: 15,
  variant: 16,
  geometry: 17,
  geography: 18,
} as const;

/** Physical types by their number. */
export const PHYSICAL_TYPES = [
  'BOOLEAN',
  'INT32',
  'INT64',
  'INT96',
  'FLOAT',
  'DOUBLE',
  'BYTE_ARRAY',
  'FIXED_LEN_BYTE_ARRAY',
] as const;
export type PhysicalType = (typeof PHYSICAL_TYPES)[number];

export const REPETITIONS = ['required', 'optional', 'repeated'] as const;
export type Repetition = (typeof REPETITIONS)[number];

/** Codecs by their number. */
const CODECS = ['UNCOMPRESSED', 'SNAPPY', 'GZIP', 'LZO', 'BROTLI', 'LZ4', 'ZSTD', 'LZ4_RAW'] as const;

/** Encodings by their number; 1 was never used. */
const ENCODINGS = [
  'PLAIN',
  'GROUP_VAR_INT',
  'PLAIN_DICTIONARY',
  'RLE',
  'BIT_PACKED',
  'DELTA_BINARY_PACKED',
  'DELTA_LENGTH_BYTE_ARRAY',
  'DELTA_BYTE_ARRAY',
  'RLE_DICTIONARY',
  'BYTE_STREAM_SPLIT',
] as const;

/** A codec's name; `codec 42` for one that the format did not have when this was written. */
export function codecName(code: number): string {
  return CODECS[code] ?? `codec ${code}`;
}

/** An encoding's name, or `encoding 42`. */
export function encodingName(code: number): string {
  return ENCODINGS[code] ?? `encoding ${code}`;
}

/** The number of the codec that a pipeline's compression stands for. */
export const COMPRESSION_CODECS: Readonly<Record<Compression, number>> = {
  none: 0,
  snappy: 1,
  gzip: 2,
  zstd: 6,
  lz4: 7,
};

/** The first and the last bytes of a Parquet file, and of one whose footer is encrypted. */
export const MAGIC = 'PAR1';
export const ENCRYPTED_MAGIC = 'PARE';
