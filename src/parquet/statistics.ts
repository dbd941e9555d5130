/**
 * Numbers from the statistics of column chunks.
 *
 *     columnRange(footer, leaf): NumericRange | undefined
 *     columnNulls(footer, leaf): number | undefined
 */
import type { NumericRange } from '../plan/facts.js';
import type { ColumnChunk, Footer } from './footer.js';
import { COLUMN, STATISTICS } from './format.js';
import { annotationOf, type SchemaNode } from './schema.js';

/** Turns the PLAIN bytes of one value into a number; undefined where they are not one. */
type Decode = (bytes: Buffer) => number | undefined;

function fixed(length: number, read: (bytes: Buffer) => number): Decode {
  return (bytes) => (bytes.length === length ? read(bytes) : undefined);
}

/** Two's complement, big-endian, of any length, as decimals in byte arrays are. */
function bigEndian(bytes: Buffer): number | undefined {
  if (bytes.length === 0) return undefined;
  return Number(BigInt.asIntN(bytes.length * 8, BigInt(`0x${bytes.toString('hex')}`)));
}

/**
 * How to read a leaf's minima and maxima; undefined for columns that are not numbers. Dates, times and timestamps are
 * not: their units are not those that SQL would give a model.
 *
 * @returns also whether the old fields `min` and `max`, which were compared as signed numbers, can be trusted.
 */
function decoder(leaf: SchemaNode): { decode: Decode; signed: boolean } | undefined {
  const annotation = annotationOf(leaf.element);
  const scaled = (decode: Decode, scale: number): Decode => {
    const power = 10 ** scale;
    return (bytes) => {
      const value = decode(bytes);
      return value === undefined ? undefined : value / power;
    };
  };
  const plain: Partial<Record<string, Decode>> = {
    INT32: fixed(4, (bytes) => bytes.readInt32LE(0)),
    INT64: fixed(8, (bytes) => Number(bytes.readBigInt64LE(0))),
    FLOAT: fixed(4, (bytes) => bytes.readFloatLE(0)),
    DOUBLE: fixed(8, (bytes) => bytes.readDoubleLE(0)),
  };
  const decode = plain[leaf.type ?? ''];
  if (annotation === undefined) return decode && { decode, signed: true };
  if (annotation.kind === 'integer' && leaf.type === 'INT32') {
    return annotation.signed
      ? decode && { decode, signed: true }
      : { decode: fixed(4, (bytes) => bytes.readUInt32LE(0)), signed: false };
  }
  if (annotation.kind === 'integer' && leaf.type === 'INT64') {
    return annotation.signed
      ? decode && { decode, signed: true }
      : { decode: fixed(8, (bytes) => Number(bytes.readBigUInt64LE(0))), signed: false };
  }
  if (annotation.kind === 'decimal') {
    if (leaf.type === 'INT32' || leaf.type === 'INT64')
      return decode && { decode: scaled(decode, annotation.scale), signed: true };
    return { decode: scaled(bigEndian, annotation.scale), signed: false };
  }
  return undefined;
}

/** NULLs of one chunk; 0 for a required leaf, undefined where the statistics do not tell. */
function chunkNulls(chunk: ColumnChunk, leaf: SchemaNode): number | undefined {
  if (leaf.repetition === 'required' || chunk.values === 0) return 0;
  return chunk.metadata.struct(COLUMN.statistics)?.int(STATISTICS.nullCount);
}

/** `null` for a chunk without a value, undefined where it has no exact statistics. */
function chunkRange(
  chunk: ColumnChunk,
  leaf: SchemaNode,
  { decode, signed }: { decode: Decode; signed: boolean },
): NumericRange | null | undefined {
  if (chunkNulls(chunk, leaf) === chunk.values) return null;
  const statistics = chunk.metadata.struct(COLUMN.statistics);
  if (statistics === undefined) return undefined;
  if (statistics.bool(STATISTICS.minExact) === false || statistics.bool(STATISTICS.maxExact) === false)
    return undefined;
  const integers = leaf.type !== 'FLOAT' && leaf.type !== 'DOUBLE';
  const old = signed && integers;
  const low = statistics.binary(STATISTICS.minValue) ?? (old ? statistics.binary(STATISTICS.min) : undefined);
  const high = statistics.binary(STATISTICS.maxValue) ?? (old ? statistics.binary(STATISTICS.max) : undefined);
  if (low === undefined || high === undefined) return undefined;
  const min = decode(Buffer.from(low));
  const max = decode(Buffer.from(high));
  // NaN in statistics, or bounds the wrong way round, come from broken writers.
  if (min === undefined || max === undefined || !(min <= max)) return undefined;
  return { min, max };
}

/**
 * Least and greatest value of a top-level leaf over all row groups, as numbers: decimals scaled, unsigned integers as
 * such. NaNs do not count in them. Undefined where a row group has no exact statistics, and for what is not numeric.
 */
export function columnRange(footer: Footer, leaf: SchemaNode): NumericRange | undefined {
  const reading = leaf.repetition === 'repeated' ? undefined : decoder(leaf);
  if (reading === undefined) return undefined;
  let range: NumericRange | undefined;
  for (const group of footer.rowGroups) {
    const chunk = group.chunks[leaf.leaves[0]];
    const found = chunk === undefined ? undefined : chunkRange(chunk, leaf, reading);
    if (found === undefined) return undefined;
    if (found === null) continue;
    range = range === undefined ? found : { min: Math.min(range.min, found.min), max: Math.max(range.max, found.max) };
  }
  return range;
}

/** NULLs of a top-level leaf over all row groups; undefined where a row group does not tell. */
export function columnNulls(footer: Footer, leaf: SchemaNode): number | undefined {
  if (leaf.repetition === 'repeated') return undefined;
  let nulls = 0;
  for (const group of footer.rowGroups) {
    const chunk = group.chunks[leaf.leaves[0]];
    const found = chunk === undefined ? undefined : chunkNulls(chunk, leaf);
    if (found === undefined) return undefined;
    nulls += found;
  }
  return nulls;
}
