/** Why columns cannot be appended to a file without rewriting it: `spliceObstacle(footer)`. */
import { ARROW_SCHEMA_KEY, ArrowSchemaError, readArrowSchema } from './arrow-schema.js';
import { FILE } from './format.js';
import { keyValue, type Footer } from './footer.js';

/**
 * What stands against splicing a column into the file, in words that follow "the file cannot be spliced:";
 * undefined where nothing does.
 */
export function spliceObstacle(footer: Footer): string | undefined {
  if (footer.encrypted) return 'some of its columns are encrypted';
  if (footer.tree.has(FILE.footerSigningKey)) return 'its footer is signed';
  for (const { chunks } of footer.rowGroups) {
    const elsewhere = chunks.find((chunk) => chunk.filePath !== undefined);
    if (elsewhere !== undefined)
      return `column "${elsewhere.path.join('.')}" lies in another file, ${elsewhere.filePath}`;
  }
  return arrowSchemaObstacle(footer);
}

function arrowSchemaObstacle(footer: Footer): string | undefined {
  const stored = keyValue(footer, ARROW_SCHEMA_KEY);
  if (stored === undefined) return undefined;
  try {
    const fields = readArrowSchema(stored).fields.length;
    const columns = footer.schema.children.length;
    if (fields === columns) return undefined;
    return `its ${ARROW_SCHEMA_KEY} metadata names ${fields} columns where the file has ${columns}`;
  } catch (error) {
    if (!(error instanceof ArrowSchemaError)) throw error;
    return `its ${ARROW_SCHEMA_KEY} metadata cannot be extended: ${error.message}`;
  }
}
