/** Writes the one file of the fuzzer's corpus that parquet-wasm makes. Usage: node make-corpus-wasm.mjs FOLDER */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tableFromArrays, tableToIPC } from 'apache-arrow';
import { Compression, Table, writeParquet, WriterPropertiesBuilder } from 'parquet-wasm';

const rows = Array.from({ length: 120 }, (_, i) => i);
const table = tableFromArrays({
  id: BigInt64Array.from(rows, BigInt),
  x: Float32Array.from(rows, (i) => i / 4),
  y: Float64Array.from(rows, (i) => i / 3 - 5),
  s: rows.map((i) => (i % 11 === 0 ? null : `text ${i % 9}`)),
  flag: rows.map((i) => i % 2 === 0),
});
const properties = new WriterPropertiesBuilder()
  .setCompression(Compression.SNAPPY)
  .setMaxRowGroupSize(50)
  .setDataPageSizeLimit(128)
  .build();
writeFileSync(
  join(process.argv[2], 'parquet-wasm.parquet'),
  writeParquet(Table.fromIPCStream(tableToIPC(table, 'stream')), properties),
);
