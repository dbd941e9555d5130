/**
 * Thrift's compact protocol.
 *
 *     parseThrift(bytes): { struct: ThriftStruct; length: number }     throws ThriftError
 *     serializeThrift(struct): Buffer
 *
 * A tree that was parsed from canonical bytes (shortest varints, short field headers where they fit: what every known
 * writer of Parquet emits) serialises to the same bytes. Apache's own `thrift` package is not used: it reads past the
 * end of cut-off input, allocates what a list header claims, and does not keep 64-bit integers, the bytes of binaries
 * and the spelling of booleans exactly.
 *
 * @see https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
 */
import {
  THRIFT,
  ThriftError,
  ThriftList,
  ThriftMap,
  ThriftStruct,
  type ThriftField,
  type ThriftType,
  type ThriftValue,
} from './thrift.js';
import { MOST_VARINT_BYTES, writeVarint } from './varint.js';

/** Deeper nesting than any real metadata has; bounds the recursion on hostile input. */
const MAX_DEPTH = 64;
/** Values in one tree: some GB of memory at the very worst. 500,000 column chunks have about 20 million. */
const MAX_VALUES = 30_000_000;

class Parser {
  private readonly bytes: Buffer;
  private position = 0;
  private left = MAX_VALUES;

  constructor(bytes: Uint8Array) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get length(): number {
    return this.position;
  }

  private fail(message: string): never {
    throw new ThriftError(message, this.position);
  }

  private byte(): number {
    const byte = this.bytes[this.position];
    if (byte === undefined) this.fail('it ends in the middle of a value');
    this.position += 1;
    return byte;
  }

  private take(length: number): Buffer {
    if (length > this.bytes.length - this.position) this.fail(`it ends in the middle of ${length} bytes`);
    this.position += length;
    return this.bytes.subarray(this.position - length, this.position);
  }

  private size(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    return this.fail('a size takes more than 5 bytes');
  }

  /** Two halves of 32 bits, as one double is too short and a bigint for each would be slow. */
  private zigzag(): number | bigint {
    let low = 0;
    let high = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >> 4;
      } else if (shift < 63) high |= bits << (shift - 32);
      else if (byte > 1) this.fail('an integer takes more than 64 bits');
      else high |= bits << 31;
      if (byte < 0x80) break;
    }
    const flip = -(low & 1);
    const lower = (((low >>> 1) | (high << 31)) ^ flip) >>> 0;
    const upper = (high >>> 1) ^ flip;
    const value = upper * 2 ** 32 + lower;
    return Number.isSafeInteger(value) ? value : (BigInt(upper) << 32n) | BigInt(lower);
  }

  private int(bits: 16 | 32): number {
    const value = this.zigzag();
    if (typeof value === 'bigint' || value >= 2 ** (bits - 1) || value < -(2 ** (bits - 1))) {
      this.fail(`${value} does not fit ${bits} bits`);
    }
    return value;
  }

  private value(type: ThriftType, depth: number): ThriftValue {
    if ((this.left -= 1) < 0) this.fail(`it holds more than ${MAX_VALUES} values`);
    switch (type) {
      case THRIFT.true:
      case THRIFT.false:
        return this.byte();
      case THRIFT.i8:
        return (this.byte() << 24) >> 24;
      case THRIFT.i16:
        return this.int(16);
      case THRIFT.i32:
        return this.int(32);
      case THRIFT.i64:
        return this.zigzag();
      case THRIFT.double:
        return this.take(8);
      case THRIFT.binary:
        return this.take(this.size());
      case THRIFT.uuid:
        return this.take(16);
      case THRIFT.list:
      case THRIFT.set:
        return this.list(type === THRIFT.set, depth + 1);
      case THRIFT.map:
        return this.map(depth + 1);
      case THRIFT.struct:
        return this.struct(depth + 1);
      default:
        return this.fail(`there is no type ${type}`);
    }
  }

  private list(set: boolean, depth: number): ThriftList {
    this.checkDepth(depth);
    const header = this.byte();
    const type = header & 0x0f;
    const size = header >> 4 === 15 ? this.size() : header >> 4;
    // Every element takes a byte at least, so this also bounds what a hostile size makes us allocate.
    if (size > this.bytes.length - this.position) this.fail(`a list claims ${size} elements, more than the bytes left`);
    const values: ThriftValue[] = [];
    for (let index = 0; index < size; index += 1) values.push(this.value(type, depth));
    return new ThriftList(type, values, set);
  }

  private map(depth: number): ThriftMap {
    this.checkDepth(depth);
    const size = this.size();
    if (size === 0) return new ThriftMap(0, 0, []);
    if (size * 2 > this.bytes.length - this.position)
      this.fail(`a map claims ${size} entries, more than the bytes left`);
    const types = this.byte();
    const entries: [ThriftValue, ThriftValue][] = [];
    for (let index = 0; index < size; index += 1) {
      const key = this.value(types >> 4, depth);
      entries.push([key, this.value(types & 0x0f, depth)]);
    }
    return new ThriftMap(types >> 4, types & 0x0f, entries);
  }

  struct(depth: number): ThriftStruct {
    this.checkDepth(depth);
    const fields: ThriftField[] = [];
    let id = 0;
    let highest = 0;
    for (;;) {
      const header = this.byte();
      if (header === 0) return new ThriftStruct(fields);
      const type = header & 0x0f;
      id = header >> 4 === 0 ? this.int(16) : id + (header >> 4);
      // Of two, some readers take the first and some the last: they would read two files.
      if (id <= highest && fields.some((field) => field.id === id)) this.fail(`field ${id} is there twice`);
      highest = Math.max(highest, id);
      if (type === THRIFT.true || type === THRIFT.false) {
        fields.push({ id, type: THRIFT.true, value: type === THRIFT.true });
      } else fields.push({ id, type, value: this.value(type, depth) });
    }
  }

  private checkDepth(depth: number): void {
    if (depth > MAX_DEPTH) this.fail(`it nests deeper than ${MAX_DEPTH}`);
  }
}

/**
 * Reads one struct from the start of `bytes`. Binaries are views on `bytes`.
 *
 * @returns the struct, and how many bytes it took.
 * @throws {ThriftError} on anything that is not a struct, or on a size, depth or count that no real metadata has.
 */
export function parseThrift(bytes: Uint8Array): { struct: ThriftStruct; length: number } {
  const parser = new Parser(bytes);
  const struct = parser.struct(0);
  return { struct, length: parser.length };
}

class Serializer {
  private buffer = Buffer.allocUnsafe(1024);
  private length = 0;

  result(): Buffer {
    return this.buffer.subarray(0, this.length);
  }

  private reserve(bytes: number): void {
    if (this.length + bytes <= this.buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.buffer.length * 2, this.length + bytes));
    this.buffer.copy(grown, 0, 0, this.length);
    this.buffer = grown;
  }

  private byte(byte: number): void {
    this.reserve(1);
    this.buffer[this.length] = byte;
    this.length += 1;
  }

  private raw(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.buffer.set(bytes, this.length);
    this.length += bytes.length;
  }

  private varint(value: number): void {
    this.reserve(MOST_VARINT_BYTES);
    this.length = writeVarint(this.buffer, this.length, value);
  }

  private zigzag(value: number | bigint): void {
    if (typeof value === 'number' && Math.abs(value) < 2 ** 51) {
      this.varint(value < 0 ? -2 * value - 1 : 2 * value);
      return;
    }
    let bits = BigInt(value);
    bits = BigInt.asUintN(64, (bits << 1n) ^ (bits >> 63n));
    while (bits >= 0x80n) {
      this.byte(Number(bits & 0x7fn) | 0x80);
      bits >>= 7n;
    }
    this.byte(Number(bits));
  }

  private value(type: ThriftType, value: ThriftValue): void {
    switch (type) {
      case THRIFT.true:
      case THRIFT.false:
      case THRIFT.i8:
        this.byte((value as number) & 0xff);
        return;
      case THRIFT.i16:
      case THRIFT.i32:
      case THRIFT.i64:
        this.zigzag(value as number | bigint);
        return;
      case THRIFT.binary:
        this.varint((value as Uint8Array).length);
        this.raw(value as Uint8Array);
        return;
      case THRIFT.double:
      case THRIFT.uuid:
        this.raw(value as Uint8Array);
        return;
      case THRIFT.list:
      case THRIFT.set:
        this.list(value as ThriftList);
        return;
      case THRIFT.map:
        this.map(value as ThriftMap);
        return;
      default:
        this.struct(value as ThriftStruct);
    }
  }

  private list({ type, values }: ThriftList): void {
    if (values.length < 15) this.byte((values.length << 4) | type);
    else {
      this.byte(0xf0 | type);
      this.varint(values.length);
    }
    for (const value of values) this.value(type, value);
  }

  private map({ keyType, valueType, entries }: ThriftMap): void {
    this.varint(entries.length);
    if (entries.length === 0) return;
    this.byte((keyType << 4) | valueType);
    for (const [key, value] of entries) {
      this.value(keyType, key);
      this.value(valueType, value);
    }
  }

  struct(struct: ThriftStruct): void {
    let last = 0;
    for (const { id, type, value } of struct.fields) {
      const code = type === THRIFT.true && value === false ? THRIFT.false : type;
      const delta = id - last;
      if (delta > 0 && delta < 16) this.byte((delta << 4) | code);
      else {
        this.byte(code);
        this.zigzag(id);
      }
      last = id;
      if (typeof value !== 'boolean') this.value(type, value);
    }
    this.byte(0);
  }
}

/** The bytes of a struct. */
export function serializeThrift(struct: ThriftStruct): Buffer {
  const serializer = new Serializer();
  serializer.struct(struct);
  return serializer.result();
}
