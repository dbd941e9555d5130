/** Copies a source, and appends columns of scores files to the copy, all at once. */
import { startCopy } from '../../src/parquet/copy.js';
import { readFooter, type Footer } from '../../src/parquet/footer.js';
import { planSplice, Splice, type SpliceOptions } from '../../src/parquet/splice.js';

/** `destination` is created, or written over. */
export async function spliceFile(
  options: Omit<SpliceOptions, 'prefixBytes'> & {
    readonly source: string | Footer;
    /** Scores files whose row groups, taken together in this order, are those of the source. */
    readonly scores: readonly string[];
    readonly metadata: Readonly<Record<string, string>>;
  },
): Promise<{ readonly bytes: number; readonly sha256: string }> {
  const { destination, columns, metadata } = options;
  const source = typeof options.source === 'string' ? await readFooter(options.source) : options.source;
  const { prefixBytes } = planSplice(source, columns);
  const copy = startCopy({ source: source.path, destination, bytes: prefixBytes });
  try {
    await copy.copied;
    const splice = await Splice.begin({ destination, prefixBytes, columns });
    try {
      for (const scores of options.scores) await splice.add(scores);
      await splice.finish(source, metadata);
    } finally {
      await splice.close();
    }
    return await copy.digest();
  } finally {
    await copy.abort();
  }
}
