/**
 * The Arrow schema in a Parquet file's metadata (`ARROW:schema`: base64 of an encapsulated IPC message), edited without
 * losing anything, whatever types it holds.
 *
 *     readArrowSchema(base64): ArrowSchema                 throws ArrowSchemaError
 *     editArrowSchema(base64, edit): string                fields added from another schema, metadata changed
 *
 * A flatbuffer's references point forward only, by offset, and do not care what lies between. So nothing is decoded and
 * encoded again: the new message is a new head (message, schema, vector of fields, vector of metadata), then all the old
 * bytes, then those of the schema that the added fields come from. The head refers to the tables in both. Extension
 * types, dictionaries, time zones and types that this program has never heard of stay as they are.
 *
 * @see https://github.com/apache/arrow/blob/main/format/Schema.fbs
 * @see https://flatbuffers.dev/internals/
 */

/** Key of the Parquet metadata. */
export const ARROW_SCHEMA_KEY = 'ARROW:schema';

/** Metadata that is not a schema, or one of a kind that cannot be edited. */
export class ArrowSchemaError extends Error {
  override readonly name = 'ArrowSchemaError';
}

const CONTINUATION = 0xffffffff;
const HEADER_SCHEMA = 1;
/** Slots of the tables in Schema.fbs and Message.fbs. */
const MESSAGE = { version: 0, headerType: 1, header: 2, bodyLength: 3, metadata: 4, slots: 5 } as const;
const SCHEMA = { endianness: 0, fields: 1, metadata: 2, features: 3, slots: 4 } as const;
const FIELD = { name: 0 } as const;
const ENTRY = { key: 0, value: 1 } as const;

/** Positions of tables in the flatbuffer of one message. */
export interface ArrowSchema {
  readonly fields: readonly { readonly name: string; readonly at: number }[];
  readonly metadata: readonly { readonly key: string; readonly value: string; readonly at: number }[];
  /** The flatbuffer. */
  readonly buffer: Buffer;
  readonly version: number;
  /** Where vectors that are taken over as they are begin; 0 for none. */
  readonly features: number;
  readonly messageMetadata: number;
}

/** Reads of a flatbuffer, checked against its end. */
class FlatBuffer {
  readonly bytes: Buffer;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  private check(at: number, length: number): number {
    if (at < 0 || at + length > this.bytes.length)
      throw new ArrowSchemaError(`it points to byte ${at} of ${this.bytes.length}`);
    return at;
  }

  u16(at: number): number {
    return this.bytes.readUInt16LE(this.check(at, 2));
  }

  u32(at: number): number {
    return this.bytes.readUInt32LE(this.check(at, 4));
  }

  u8(at: number): number {
    return this.bytes.readUInt8(this.check(at, 1));
  }

  /** Follows a reference. */
  follow(at: number): number {
    return this.check(at + this.u32(at), 4);
  }

  private vtable(table: number): number {
    return this.check(table - this.bytes.readInt32LE(this.check(table, 4)), 4);
  }

  /** Number of slots that a table's writer knew. */
  slots(table: number): number {
    return (this.u16(this.vtable(table)) - 4) / 2;
  }

  /** Position of a slot's value, or 0 where it is absent. */
  slot(table: number, index: number): number {
    if (index >= this.slots(table)) return 0;
    const offset = this.u16(this.vtable(table) + 4 + 2 * index);
    return offset === 0 ? 0 : table + offset;
  }

  /** Position of what a slot refers to, or 0. */
  reference(table: number, index: number): number {
    const at = this.slot(table, index);
    return at === 0 ? 0 : this.follow(at);
  }

  text(table: number, index: number): string {
    const at = this.reference(table, index);
    if (at === 0) return '';
    const length = this.u32(at);
    return this.bytes.toString('utf8', this.check(at + 4, length), at + 4 + length);
  }

  tables(table: number, index: number): number[] {
    const at = this.reference(table, index);
    if (at === 0) return [];
    const length = this.u32(at);
    this.check(at + 4, length * 4);
    return Array.from({ length }, (_, entry) => this.follow(at + 4 + 4 * entry));
  }
}

/** The flatbuffer inside the encapsulated message; messages before Arrow 0.15 have no continuation marker. */
function unwrap(base64: string): Buffer {
  const bytes = Buffer.from(base64, 'base64');
  if (bytes.length < 8) throw new ArrowSchemaError(`it has ${bytes.length} bytes`);
  const start = bytes.readUInt32LE(0) === CONTINUATION ? 8 : 4;
  const length = bytes.readUInt32LE(start - 4);
  if (length < 8 || start + length > bytes.length)
    throw new ArrowSchemaError(`it claims ${length} bytes of ${bytes.length - start}`);
  return bytes.subarray(start, start + length);
}

/** @throws {ArrowSchemaError} */
export function readArrowSchema(base64: string): ArrowSchema {
  const buffer = unwrap(base64);
  const flat = new FlatBuffer(buffer);
  const message = flat.follow(0);
  const schema = flat.reference(message, MESSAGE.header);
  const type = flat.slot(message, MESSAGE.headerType);
  if (schema === 0 || type === 0 || flat.u8(type) !== HEADER_SCHEMA)
    throw new ArrowSchemaError('it is not a schema message');
  // A slot that this program does not know may hold a value or a reference; there is no telling.
  if (flat.slots(message) > MESSAGE.slots || flat.slots(schema) > SCHEMA.slots) {
    throw new ArrowSchemaError('it was written by a newer format of Arrow');
  }
  const endianness = flat.slot(schema, SCHEMA.endianness);
  if (endianness !== 0 && flat.u16(endianness) !== 0) throw new ArrowSchemaError('it is big-endian');
  const version = flat.slot(message, MESSAGE.version);
  return {
    buffer,
    version: version === 0 ? 0 : flat.u16(version),
    fields: flat.tables(schema, SCHEMA.fields).map((at) => ({ name: flat.text(at, FIELD.name), at })),
    metadata: flat
      .tables(schema, SCHEMA.metadata)
      .map((at) => ({ key: flat.text(at, ENTRY.key), value: flat.text(at, ENTRY.value), at })),
    features: flat.reference(schema, SCHEMA.features),
    messageMetadata: flat.reference(message, MESSAGE.metadata),
  };
}

export interface ArrowSchemaEdit {
  /** Fields taken over from another schema, by name. */
  readonly add?: { readonly from: string; readonly names: readonly string[] };
  /** The new value of a metadata entry; undefined leaves it as it is. */
  readonly change?: (key: string, value: string) => string | undefined;
}

function align8(length: number): number {
  return (length + 7) & ~7;
}

/** A KeyValue table with its two strings; its table lies at byte 8. */
function keyValueTable(key: string, value: string): Buffer {
  const texts = [key, value].map((text) => Buffer.from(text, 'utf8'));
  const first = 20;
  const second = first + align8(4 + (texts[0] as Buffer).length + 1);
  const table = Buffer.alloc(align8(second + 4 + (texts[1] as Buffer).length + 1));
  [8, 12, 4, 8].forEach((slot, index) => table.writeUInt16LE(slot, 2 * index));
  table.writeInt32LE(8, 8);
  [first, second].forEach((at, index) => {
    table.writeUInt32LE(at - (12 + 4 * index), 12 + 4 * index);
    table.writeUInt32LE((texts[index] as Buffer).length, at);
    (texts[index] as Buffer).copy(table, at + 4);
  });
  return table;
}

/** Layout of the new head. Everything in it lies before what it refers to. */
const HEAD = { messageVtable: 4, message: 20, schemaVtable: 48, schema: 60, vectors: 80 } as const;

/**
 * Gives the schema with fields of another one after its own, and metadata changed.
 *
 * @throws {ArrowSchemaError} where the schema, or the one that fields come from, cannot be read, or has no such field.
 */
export function editArrowSchema(base64: string, edit: ArrowSchemaEdit): string {
  const old = readArrowSchema(base64);
  const added = edit.add === undefined ? undefined : readArrowSchema(edit.add.from);
  const fresh = (edit.add?.names ?? []).map((name) => added?.fields.find((field) => field.name === name));
  if (fresh.includes(undefined)) throw new ArrowSchemaError('it has no such field');

  const entries = old.metadata;
  const fieldVector = HEAD.vectors;
  const entryVector = fieldVector + 4 + 4 * (old.fields.length + fresh.length);
  const oldStart = align8(entryVector + 4 + 4 * entries.length);
  const addedStart = oldStart + align8(old.buffer.length);
  let end = addedStart + align8(added?.buffer.length ?? 0);
  const tables = entries.map((entry) => {
    const value = edit.change?.(entry.key, entry.value);
    if (value === undefined) return { at: oldStart + entry.at };
    const table = keyValueTable(entry.key, value);
    const at = end;
    end += table.length;
    return { at: at + 8, table, start: at };
  });

  const buffer = Buffer.alloc(end);
  const refer = (from: number, to: number): void => {
    buffer.writeUInt32LE(to - from, from);
  };
  const vtable = (at: number, tableSize: number, slots: readonly number[]): void => {
    [4 + 2 * slots.length, tableSize, ...slots].forEach((value, index) => buffer.writeUInt16LE(value, at + 2 * index));
  };
  const vector = (at: number, targets: readonly number[]): void => {
    buffer.writeUInt32LE(targets.length, at);
    targets.forEach((target, index) => {
      refer(at + 4 + 4 * index, target);
    });
  };
  const oldVector = (from: number, at: number): void => {
    if (at !== 0) refer(from, oldStart + at);
  };

  refer(0, HEAD.message);
  // Message: vtable, header, metadata, bodyLength (8 bytes, aligned: 0), version, header type.
  vtable(HEAD.messageVtable, 24, [20, 22, 4, 12, old.messageMetadata === 0 ? 0 : 8]);
  buffer.writeInt32LE(HEAD.message - HEAD.messageVtable, HEAD.message);
  refer(HEAD.message + 4, HEAD.schema);
  oldVector(HEAD.message + 8, old.messageMetadata);
  buffer.writeUInt16LE(old.version, HEAD.message + 20);
  buffer.writeUInt8(HEADER_SCHEMA, HEAD.message + 22);
  // Schema: vtable, fields, metadata, features; little-endian is the default.
  vtable(HEAD.schemaVtable, 16, [0, 4, entries.length === 0 ? 0 : 8, old.features === 0 ? 0 : 12]);
  buffer.writeInt32LE(HEAD.schema - HEAD.schemaVtable, HEAD.schema);
  refer(HEAD.schema + 4, fieldVector);
  if (entries.length > 0) refer(HEAD.schema + 8, entryVector);
  oldVector(HEAD.schema + 12, old.features);

  vector(fieldVector, [
    ...old.fields.map(({ at }) => oldStart + at),
    ...fresh.map((field) => addedStart + (field?.at ?? 0)),
  ]);
  vector(
    entryVector,
    tables.map(({ at }) => at),
  );
  old.buffer.copy(buffer, oldStart);
  added?.buffer.copy(buffer, addedStart);
  for (const { table, start } of tables) if (table !== undefined) table.copy(buffer, start);

  const prefix = Buffer.alloc(8);
  prefix.writeUInt32LE(CONTINUATION, 0);
  prefix.writeUInt32LE(buffer.length, 4);
  return Buffer.concat([prefix, buffer]).toString('base64');
}
