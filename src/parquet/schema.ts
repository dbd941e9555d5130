/**
 * The schema of a Parquet file as a tree, and its types in words.
 *
 *     parseSchema(elements): SchemaNode      throws ThriftError
 *     typeWords(node): string
 */
import { ELEMENT, LOGICAL, PHYSICAL_TYPES, REPETITIONS, type PhysicalType, type Repetition } from './format.js';
import { ThriftError, type ThriftStruct } from './thrift.js';

/** A group or leaf of a schema. */
export interface SchemaNode {
  readonly name: string;
  /** Names from the top-level column down to this one; empty for the root. */
  readonly path: readonly string[];
  readonly repetition: Repetition;
  /** Absent for a group. */
  readonly type?: PhysicalType;
  readonly children: readonly SchemaNode[];
  /** Its elements in the footer's flat list: itself and all below it. */
  readonly elements: readonly [from: number, to: number];
  /** The leaves below it, or itself, by their number in the file: also the column chunks of a row group. */
  readonly leaves: readonly [from: number, to: number];
  /** The element itself, with its logical type and what else it says. */
  readonly element: ThriftStruct;
}

const MAX_DEPTH = 200;

/**
 * Builds the tree of a footer's flat, depth-first list of elements. The first is the root, whose children are the columns.
 *
 * @throws {ThriftError} where the list and its `num_children` do not form one tree.
 */
export function parseSchema(elements: readonly ThriftStruct[]): SchemaNode {
  let leaf = 0;
  const node = (at: number, above: readonly string[] | undefined): SchemaNode => {
    const element = elements[at];
    if (element === undefined) throw new ThriftError('the schema claims more elements than it has');
    if ((above?.length ?? 0) > MAX_DEPTH) throw new ThriftError(`the schema nests deeper than ${MAX_DEPTH}`);
    const name = element.text(ELEMENT.name);
    if (name === undefined) throw new ThriftError(`element ${at} of the schema has no name`);
    const path = above === undefined ? [] : [...above, name];
    const repetition = REPETITIONS[element.int(ELEMENT.repetition) ?? 0];
    if (repetition === undefined) throw new ThriftError(`element "${name}" of the schema has no known repetition`);
    const code = element.int(ELEMENT.type);
    const count = element.int(ELEMENT.numChildren) ?? 0;
    const firstLeaf = leaf;
    if (code !== undefined && count === 0 && above !== undefined) {
      const type = PHYSICAL_TYPES[code];
      if (type === undefined) throw new ThriftError(`element "${name}" of the schema has an unknown type ${code}`);
      leaf += 1;
      return { name, path, repetition, type, children: [], elements: [at, at + 1], leaves: [firstLeaf, leaf], element };
    }
    if (count < 0 || count > elements.length)
      throw new ThriftError(`element "${name}" of the schema claims ${count} children`);
    const children: SchemaNode[] = [];
    let next = at + 1;
    for (let index = 0; index < count; index += 1) {
      const child = node(next, path);
      children.push(child);
      next = child.elements[1];
    }
    return { name, path, repetition, children, elements: [at, next], leaves: [firstLeaf, leaf], element };
  };
  if (elements.length === 0) throw new ThriftError('it has no schema');
  const root = node(0, undefined);
  if (root.elements[1] !== elements.length) {
    throw new ThriftError(`the schema has ${elements.length} elements, its tree only ${root.elements[1]}`);
  }
  return root;
}

/** What a logical type, or the converted type that came before it, says. The kinds are the keys of `LOGICAL`. */
export type Annotation =
  | { readonly kind: 'decimal'; readonly precision: number; readonly scale: number }
  | { readonly kind: 'time' | 'timestamp'; readonly unit: string; readonly utc: boolean }
  | { readonly kind: 'integer'; readonly bits: number; readonly signed: boolean }
  | { readonly kind: 'interval' }
  | { readonly kind: 'other'; readonly id: number }
  | { readonly kind: Exclude<keyof typeof LOGICAL, 'decimal' | 'time' | 'timestamp' | 'integer'> };

const UNITS = ['MILLIS', 'MICROS', 'NANOS'];
const LOGICAL_NAMES = new Map<number, keyof typeof LOGICAL>(
  Object.entries(LOGICAL).map(([name, id]) => [id, name as keyof typeof LOGICAL]),
);

function logicalAnnotation(element: ThriftStruct): Annotation | undefined {
  const union = element.struct(ELEMENT.logicalType);
  const field = union?.fields[0];
  if (union === undefined || field === undefined) return undefined;
  const kind = LOGICAL_NAMES.get(field.id);
  if (kind === undefined) return { kind: 'other', id: field.id };
  const body = union.struct(field.id);
  switch (kind) {
    case 'decimal':
      return { kind, scale: body?.int(1) ?? 0, precision: body?.int(2) ?? 0 };
    case 'time':
    case 'timestamp': {
      const unit = body?.struct(2)?.fields[0]?.id ?? 0;
      return { kind, utc: body?.bool(1) ?? false, unit: UNITS[unit - 1] ?? `unit ${unit}` };
    }
    case 'integer':
      return { kind, bits: body?.int(1) ?? 0, signed: body?.bool(2) ?? true };
    default:
      return { kind };
  }
}

/** Converted types by their number, as the annotation that took their place. */
const CONVERTED: readonly Annotation[] = [
  { kind: 'string' },
  { kind: 'map' },
  { kind: 'map' },
  { kind: 'list' },
  { kind: 'enum' },
  { kind: 'decimal', precision: 0, scale: 0 },
  { kind: 'date' },
  { kind: 'time', unit: 'MILLIS', utc: true },
  { kind: 'time', unit: 'MICROS', utc: true },
  { kind: 'timestamp', unit: 'MILLIS', utc: true },
  { kind: 'timestamp', unit: 'MICROS', utc: true },
  { kind: 'integer', bits: 8, signed: false },
  { kind: 'integer', bits: 16, signed: false },
  { kind: 'integer', bits: 32, signed: false },
  { kind: 'integer', bits: 64, signed: false },
  { kind: 'integer', bits: 8, signed: true },
  { kind: 'integer', bits: 16, signed: true },
  { kind: 'integer', bits: 32, signed: true },
  { kind: 'integer', bits: 64, signed: true },
  { kind: 'json' },
  { kind: 'bson' },
  { kind: 'interval' },
];

/** What an element's values mean beyond its physical type; absent where they mean just that. */
export function annotationOf(element: ThriftStruct): Annotation | undefined {
  const logical = logicalAnnotation(element);
  if (logical !== undefined) return logical;
  const converted = element.int(ELEMENT.convertedType);
  if (converted === undefined) return undefined;
  const annotation = CONVERTED[converted];
  if (annotation?.kind !== 'decimal') return annotation;
  return { kind: 'decimal', precision: element.int(ELEMENT.precision) ?? 0, scale: element.int(ELEMENT.scale) ?? 0 };
}

function annotationWords(annotation: Annotation): string {
  switch (annotation.kind) {
    case 'decimal':
      return `DECIMAL(${annotation.precision}, ${annotation.scale})`;
    case 'time':
    case 'timestamp':
      return `${annotation.kind.toUpperCase()}(${annotation.unit}${annotation.utc ? ', UTC' : ''})`;
    case 'integer':
      return `${annotation.signed ? 'INT' : 'UINT'}${annotation.bits}`;
    case 'other':
      return `logical type ${annotation.id}`;
    default:
      return annotation.kind.toUpperCase();
  }
}

function leafWords(node: SchemaNode): string {
  const { element, type = 'BYTE_ARRAY' } = node;
  const physical = type === 'FIXED_LEN_BYTE_ARRAY' ? `${type}(${element.int(ELEMENT.typeLength) ?? 0})` : type;
  const annotation = annotationOf(element);
  // INT32 (INT32) says no more than INT32: writers differ in whether they spell it out.
  const plain = annotation?.kind === 'integer' && annotation.signed && physical === `INT${annotation.bits}`;
  return annotation === undefined || plain ? physical : `${physical} (${annotationWords(annotation)})`;
}

/**
 * The element of a list group by the format's rules, those for older writers included; undefined where it is none.
 *
 * @see https://github.com/apache/parquet-format/blob/master/LogicalTypes.md#lists
 */
function listElement(group: SchemaNode): SchemaNode | undefined {
  const repeated = group.children[0];
  if (group.children.length !== 1 || repeated?.repetition !== 'repeated') return undefined;
  const only = repeated.children[0];
  const twoLevel =
    repeated.type !== undefined ||
    repeated.children.length !== 1 ||
    only?.repetition === 'repeated' ||
    repeated.name === 'array' ||
    repeated.name === `${group.name}_tuple`;
  return twoLevel ? { ...repeated, repetition: 'required' } : only;
}

function groupWords(node: SchemaNode): string {
  const kind = annotationOf(node.element)?.kind;
  if (kind === 'list') {
    const element = listElement(node);
    if (element !== undefined) return `LIST<${typeWords(element)}>`;
  }
  if (kind === 'map') {
    const [key, value] = node.children[0]?.children ?? [];
    if (key !== undefined)
      return value === undefined ? `SET<${typeWords(key)}>` : `MAP<${typeWords(key)}, ${typeWords(value)}>`;
  }
  const fields = node.children.map((child) => `${child.name}: ${typeWords(child)}`).join(', ');
  return kind === 'variant' ? `VARIANT<${fields}>` : `STRUCT<${fields}>`;
}

/**
 * A column's type in words that tell any two apart: `INT64`, `INT32 (DATE)`, `INT64 (TIMESTAMP(MICROS, UTC))`,
 * `LIST<FLOAT>`, `STRUCT<a: INT32>`. Whether it may be NULL is not part of it.
 */
export function typeWords(node: SchemaNode): string {
  const words = node.type === undefined ? groupWords(node) : leafWords(node);
  return node.repetition === 'repeated' ? `REPEATED ${words}` : words;
}
