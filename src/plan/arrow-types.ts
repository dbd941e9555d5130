/** Arrow types of the new columns. */
import {
  Bool,
  Field,
  Float32,
  Float64,
  Int16,
  Int32,
  Int64,
  Int8,
  List,
  Uint16,
  Uint32,
  Uint64,
  Uint8,
  Utf8,
  type DataType,
} from 'apache-arrow';
import type { ElementType } from './facts.js';

const ARROW_TYPES: Readonly<Record<ElementType, () => DataType>> = {
  float32: () => new Float32(),
  float64: () => new Float64(),
  int8: () => new Int8(),
  uint8: () => new Uint8(),
  int16: () => new Int16(),
  uint16: () => new Uint16(),
  int32: () => new Int32(),
  uint32: () => new Uint32(),
  int64: () => new Int64(),
  uint64: () => new Uint64(),
  bool: () => new Bool(),
  string: () => new Utf8(),
};

/** The Arrow type of an element. */
export function arrowElement(type: ElementType): DataType {
  return ARROW_TYPES[type]();
}

/** A list of nullable values, under the name that Parquet's specification and Arrow's C++ writers give them. */
export function arrowList(type: DataType): List {
  return new List(new Field('element', type, true));
}

/** The Arrow field of a new column. Every one may hold NULL: rows that are not scored do. */
export function outputField(name: string, type: ElementType, list: boolean): Field {
  const element = arrowElement(type);
  return new Field(name, list ? arrowList(element) : element, true);
}
