/** What a file that is not Parquet is instead, for the error message: `looksLike(head)`. */

const SIGNATURES: readonly (readonly [bytes: string, offset: number, what: string])[] = [
  ['ARROW1', 0, 'an Arrow IPC (Feather) file'],
  ['FEA1', 0, 'a Feather file of version 1'],
  ['\xff\xff\xff\xff', 0, 'an Arrow IPC stream'],
  ['PK\x03\x04', 0, 'a ZIP archive (or an Excel workbook)'],
  ['\x1f\x8b', 0, 'a gzip-compressed file'],
  ['\x28\xb5\x2f\xfd', 0, 'a zstd-compressed file'],
  ['BZh', 0, 'a bzip2-compressed file'],
  ['\xfd7zXZ\x00', 0, 'an xz-compressed file'],
  ['ORC', 0, 'an ORC file'],
  ['Obj\x01', 0, 'an Avro file'],
  ['SEQ', 0, 'a Hadoop sequence file'],
  ['SQLite format 3\x00', 0, 'an SQLite database'],
  ['DUCK', 8, 'a DuckDB database'],
  ['\x89HDF', 0, 'an HDF5 file'],
  ['%PDF', 0, 'a PDF'],
  ['version https://git-lfs', 0, 'a Git LFS pointer; fetch the file itself with "git lfs pull"'],
];

/** What {@link looksLike} says of bytes that tell nothing. */
export const OTHER_BINARY = 'some other binary file';

/** Text of the file's start, or undefined where it is binary or not UTF-8. */
function asText(head: Uint8Array): string | undefined {
  const bytes = Buffer.from(head);
  // The last character may be cut in the middle.
  const text = bytes.toString('utf8').replace(/\ufffd$/, '');
  return /[\u0000-\u0008\u000e-\u001f\ufffd]/.test(text) ? undefined : text;
}

/** @param head the first bytes of the file, a few hundred where it has so many. */
export function looksLike(head: Uint8Array): string {
  const latin = Buffer.from(head).toString('latin1');
  for (const [bytes, offset, what] of SIGNATURES) if (latin.startsWith(bytes, offset)) return what;
  const text = asText(head);
  if (text === undefined) return OTHER_BINARY;
  const start = text.trimStart();
  if (/^[[{]/.test(start)) return 'JSON';
  if (/^<(!doctype html|html)/i.test(start)) return 'HTML (an error page of a download, perhaps)';
  if (start.startsWith('<')) return 'XML';
  const line = start.split(/\r?\n/, 1)[0] ?? '';
  if (line.includes('\t')) return 'tab-separated text (TSV)';
  if (/[,;|]/.test(line)) return 'CSV';
  return 'plain text';
}
