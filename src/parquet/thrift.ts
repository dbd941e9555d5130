/**
 * A Thrift struct as a generic tree: every field is kept, known or not, so that a struct can be changed in one place and
 * written back with all else as it was. `thrift-compact.ts` reads and writes it.
 */

/** Type codes of the compact protocol. `true` and `false` carry a struct field's value; in lists either means bool. */
export const THRIFT = {
  true: 1,
  false: 2,
  i8: 3,
  i16: 4,
  i32: 5,
  i64: 6,
  double: 7,
  binary: 8,
  list: 9,
  set: 10,
  map: 11,
  struct: 12,
  uuid: 13,
} as const;

const TYPE_NAMES = Object.fromEntries(Object.entries(THRIFT).map(([name, code]) => [code, name]));

/** A type code, as in {@link THRIFT}. */
export type ThriftType = number;

/**
 * A value by its type: integers are numbers where a double holds them exactly and bigints otherwise; doubles, binaries
 * and UUIDs are their bytes (a NaN keeps its payload); a bool is a boolean in a struct and its byte in a list or map.
 */
export type ThriftValue = boolean | number | bigint | Uint8Array | ThriftStruct | ThriftList | ThriftMap;

/** A field of a struct. The type of a bool is {@link THRIFT.true}, whatever its value. */
export interface ThriftField {
  readonly id: number;
  readonly type: ThriftType;
  readonly value: ThriftValue;
}

/** Bytes that are not a Thrift struct, or a struct that does not have the shape it should. */
export class ThriftError extends Error {
  /** Position in the bytes parsed, where there is one. */
  readonly offset: number | undefined;

  constructor(message: string, offset?: number) {
    super(message);
    this.name = 'ThriftError';
    this.offset = offset;
  }
}

/** A list or a set. */
export class ThriftList {
  readonly type: ThriftType;
  readonly values: readonly ThriftValue[];
  readonly set: boolean;

  constructor(type: ThriftType, values: readonly ThriftValue[], set = false) {
    this.type = type;
    this.values = values;
    this.set = set;
  }

  /** The same list with other values. */
  with(values: readonly ThriftValue[]): ThriftList {
    return new ThriftList(this.type, values, this.set);
  }
}

/** A map; an empty one has no types on the wire. */
export class ThriftMap {
  readonly keyType: ThriftType;
  readonly valueType: ThriftType;
  readonly entries: readonly (readonly [key: ThriftValue, value: ThriftValue])[];

  constructor(
    keyType: ThriftType,
    valueType: ThriftType,
    entries: readonly (readonly [key: ThriftValue, value: ThriftValue])[],
  ) {
    this.keyType = keyType;
    this.valueType = valueType;
    this.entries = entries;
  }
}

/** A struct: its fields in the order of the wire. Never changed in place: {@link with} and {@link without} give copies. */
export class ThriftStruct {
  readonly fields: readonly ThriftField[];

  constructor(fields: readonly ThriftField[] = []) {
    this.fields = fields;
  }

  private find(id: number, type: ThriftType, orUpTo = type): ThriftValue | undefined {
    for (const field of this.fields) {
      if (field.id !== id) continue;
      if (field.type >= type && field.type <= orUpTo) return field.value;
      throw new ThriftError(
        `field ${id} is of type ${TYPE_NAMES[field.type] ?? field.type}, not ${TYPE_NAMES[orUpTo]}`,
      );
    }
    return undefined;
  }

  has(id: number): boolean {
    return this.fields.some((field) => field.id === id);
  }

  /** An integer of any width. @throws {ThriftError} where the field has another type or a double cannot hold it. */
  int(id: number): number | undefined {
    const value = this.find(id, THRIFT.i8, THRIFT.i64);
    if (typeof value === 'bigint') throw new ThriftError(`field ${id} is ${value}, beyond 2^53`);
    return value as number | undefined;
  }

  bool(id: number): boolean | undefined {
    return this.find(id, THRIFT.true) as boolean | undefined;
  }

  binary(id: number): Uint8Array | undefined {
    return this.find(id, THRIFT.binary) as Uint8Array | undefined;
  }

  /** A binary as UTF-8; bytes that are not become U+FFFD. */
  text(id: number): string | undefined {
    const bytes = this.binary(id);
    return bytes === undefined ? undefined : decodeUtf8(bytes);
  }

  struct(id: number): ThriftStruct | undefined {
    return this.find(id, THRIFT.struct) as ThriftStruct | undefined;
  }

  list(id: number): ThriftList | undefined {
    return this.find(id, THRIFT.list) as ThriftList | undefined;
  }

  /** The structs of a list; none where the field is absent. @throws {ThriftError} where it is another kind of list. */
  structs(id: number): readonly ThriftStruct[] {
    const list = this.list(id);
    if (list === undefined || list.values.length === 0) return [];
    if (list.type !== THRIFT.struct)
      throw new ThriftError(`field ${id} is a list of ${TYPE_NAMES[list.type]}, not of structs`);
    return list.values as readonly ThriftStruct[];
  }

  /** A copy with one field set: in its place where it exists, else where its id belongs. */
  with(id: number, type: ThriftType, value: ThriftValue): ThriftStruct {
    const fields = [...this.fields];
    const at = fields.findIndex((field) => field.id === id);
    if (at >= 0) fields[at] = { id, type, value };
    else {
      const next = fields.findIndex((field) => field.id > id);
      fields.splice(next < 0 ? fields.length : next, 0, { id, type, value });
    }
    return new ThriftStruct(fields);
  }

  /** A copy without these fields. */
  without(...ids: readonly number[]): ThriftStruct {
    return new ThriftStruct(this.fields.filter((field) => !ids.includes(field.id)));
  }
}

/** A struct of these fields, in the order of their ids. */
export function thriftStruct(
  ...fields: readonly (readonly [id: number, type: ThriftType, value: ThriftValue])[]
): ThriftStruct {
  return new ThriftStruct(fields.map(([id, type, value]): ThriftField => ({ id, type, value })));
}

function decodeUtf8(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}

/** A string as the value of a binary field. */
export function thriftText(text: string): Uint8Array {
  return Buffer.from(text, 'utf8');
}
