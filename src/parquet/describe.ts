/**
 * What a plan and the `inspect` command need to know of a Parquet file.
 *
 *     describeFile(path, root, footer?): Promise<SourceFile>       `hive` is left empty for the caller
 *     inspectParquet(path): Promise<ParquetReport>
 *
 * Both throw what `readFooter` throws.
 */
import { relative, resolve, sep } from 'node:path';
import { ColonnadeError } from '../errors.js';
import type { ParquetColumn, SourceFile } from '../plan/facts.js';
import { readFooter, topLevelColumns, type Footer } from './footer.js';
import { spliceObstacle } from './obstacles.js';
import { typeWords, type SchemaNode } from './schema.js';
import { columnNulls, columnRange } from './statistics.js';
import { ThriftError } from './thrift.js';

function describeColumn(footer: Footer, node: SchemaNode): ParquetColumn {
  let bytes = 0;
  for (const group of footer.rowGroups) {
    for (const chunk of group.chunks.slice(...node.leaves)) bytes += chunk.pages.length;
  }
  const leaf = node.type !== undefined;
  const range = leaf ? columnRange(footer, node) : undefined;
  const nulls = leaf ? columnNulls(footer, node) : undefined;
  return {
    name: node.name,
    type: typeWords(node),
    ...(range === undefined ? {} : { range }),
    ...(nulls === undefined ? {} : { nulls }),
    bytes,
  };
}

function describeColumns(footer: Footer): readonly ParquetColumn[] {
  try {
    return topLevelColumns(footer).map((node) => describeColumn(footer, node));
  } catch (error) {
    if (!(error instanceof ThriftError)) throw error;
    throw new ColonnadeError(
      'BAD_PARQUET',
      `${footer.path}: the statistics in its footer are damaged: ${error.message}`,
      {
        phase: 'source',
        hint: 'write or download the file again',
        cause: error,
      },
    );
  }
}

/**
 * Reads a file's footer as a fact for the plan.
 *
 * @param root the folder that `relativePath` starts from.
 * @param footer the file's footer, where it was read already.
 */
export async function describeFile(path: string, root: string, footer?: Footer): Promise<SourceFile> {
  const read = footer ?? (await readFooter(path));
  const obstacle = spliceObstacle(read);
  return {
    path: resolve(path),
    relativePath: relative(root, path).split(sep).join('/'),
    fingerprint: read.fingerprint,
    rows: read.rows,
    columns: describeColumns(read),
    rowGroups: read.rowGroups.map(({ rows, bytes }) => ({ rows, bytes })),
    hive: {},
    ...(obstacle === undefined ? {} : { spliceObstacle: obstacle }),
  };
}

/** A Parquet file as `inspect` shows it: plain data. */
export interface ParquetReport {
  readonly path: string;
  /** Bytes of the file, and of its footer. */
  readonly size: number;
  readonly footerBytes: number;
  readonly version: number;
  readonly createdBy: string | null;
  readonly rows: number;
  readonly columns: readonly (ParquetColumn & {
    readonly nullable: boolean;
    readonly codecs: readonly string[];
    readonly encodings: readonly string[];
    readonly uncompressedBytes: number;
  })[];
  readonly rowGroups: readonly {
    readonly rows: number;
    readonly bytes: number;
    readonly uncompressedBytes: number;
    readonly codecs: readonly string[];
    readonly encodings: readonly string[];
  }[];
  /** Keys of the file's metadata with the length of their values; the values of `colonnade.*` in `colonnade`. */
  readonly metadata: readonly { readonly key: string; readonly bytes: number }[];
  /** What an earlier run of Colonnade left in the metadata, without the prefix `colonnade.`. */
  readonly colonnade: Readonly<Record<string, string>>;
  readonly pageIndex: boolean;
  readonly bloomFilters: boolean;
  readonly encrypted: boolean;
  /** Why no column can be spliced into it, or null. */
  readonly spliceObstacle: string | null;
}

function distinct(values: Iterable<string>): readonly string[] {
  return [...new Set(values)].sort();
}

/** Reads what there is to tell of a Parquet file without its data. */
export async function inspectParquet(path: string): Promise<ParquetReport> {
  const footer = await readFooter(path);
  const { rowGroups } = footer;
  const described = describeColumns(footer);
  const columns = topLevelColumns(footer).map((node, index) => {
    const chunks = rowGroups.flatMap((group) => group.chunks.slice(...node.leaves));
    return {
      ...(described[index] as ParquetColumn),
      nullable: node.repetition !== 'required',
      codecs: distinct(chunks.map((chunk) => chunk.codec)),
      encodings: distinct(chunks.flatMap((chunk) => chunk.encodings)),
      uncompressedBytes: chunks.reduce((total, chunk) => total + chunk.uncompressedBytes, 0),
    };
  });
  return {
    path,
    size: footer.size,
    footerBytes: footer.size - footer.start,
    version: footer.version,
    createdBy: footer.createdBy ?? null,
    rows: footer.rows,
    columns,
    rowGroups: rowGroups.map((group) => ({
      rows: group.rows,
      bytes: group.bytes,
      uncompressedBytes: group.chunks.reduce((total, chunk) => total + chunk.uncompressedBytes, 0),
      codecs: distinct(group.chunks.map((chunk) => chunk.codec)),
      encodings: distinct(group.chunks.flatMap((chunk) => chunk.encodings)),
    })),
    metadata: footer.keyValues.map(({ key, value }) => ({ key, bytes: Buffer.byteLength(value ?? '') })),
    colonnade: Object.fromEntries(
      footer.keyValues
        .filter(({ key, value }) => key.startsWith('colonnade.') && value !== undefined)
        .map(({ key, value }) => [key.slice('colonnade.'.length), value ?? '']),
    ),
    pageIndex: footer.pageIndex,
    bloomFilters: rowGroups.some((group) => group.chunks.some((chunk) => chunk.bloomFilter)),
    encrypted: footer.encrypted,
    spliceObstacle: spliceObstacle(footer) ?? null,
  };
}
