/**
 * The values of an output column as Parquet stores them: without NULLs, in the physical type.
 *
 *     physicalType(type), storedColumn(vector)               undefined for types that are not stored by this program itself
 */
import { DataType, type Data, type Vector } from 'apache-arrow';
import { isValid } from '../plan/validity.js';
import { boolValues } from './bool-values.js';
import type { PhysicalType } from './format.js';
import { numberStorage, numberValues } from './number-values.js';
import type { StoredColumn } from './stored-values.js';
import { textValues } from './text-values.js';

/** What a scalar of an Arrow type is stored as; undefined for types that are not stored here. */
export function physicalType(type: DataType): PhysicalType | undefined {
  if (DataType.isUtf8(type)) return 'BYTE_ARRAY';
  return DataType.isBool(type) ? 'BOOLEAN' : numberStorage(type)?.physical;
}

/** The column of a vector; undefined for lists and other types that no scalar output has. */
export function storedColumn(vector: Vector): StoredColumn | undefined {
  const type = vector.type as DataType;
  const parts = vector.data.filter((data) => data.length > 0);
  const present = vector.nullCount === 0 ? undefined : presence(parts, vector);
  const values = DataType.isUtf8(type)
    ? textValues(parts, present)
    : DataType.isBool(type)
      ? boolValues(parts, present)
      : numberValues(type, parts, present);
  return values === undefined ? undefined : { rows: vector.length, present, values };
}

function presence(parts: readonly Data[], { length, nullCount }: Vector): Uint8Array {
  const present = new Uint8Array(length);
  if (nullCount === length) return present;
  let at = 0;
  for (const data of parts) {
    for (let row = 0; row < data.length; row += 1) present[at + row] = isValid(data, row) ? 1 : 0;
    at += data.length;
  }
  return present;
}
