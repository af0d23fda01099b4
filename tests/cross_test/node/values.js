// Values of the cross-language test as JSON: what JSON cannot hold is an object with one key that names the type.

'use strict';

const { Int64, Thrift } = require('thrift');

const isStruct = (value) => typeof value.write === 'function';

function doubleOf(hex) {
  return Buffer.from(hex, 'hex').readDoubleBE(0);
}

function hexOf(double) {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(double);
  return bytes.toString('hex');
}

function int64Of(decimal) {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt(decimal));
  return new Int64(bytes);
}

// The value that JSON stands for. `types` has the classes of the structs.
function fromJSON(value, types) {
  const inner = (item) => fromJSON(item, types);
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map(inner);
  if ('i64' in value) return int64Of(value.i64);
  if ('double' in value) return doubleOf(value.double);
  if ('binary' in value) return Buffer.from(value.binary, 'base64');
  if ('map' in value) return Object.fromEntries(value.map.map(([key, item]) => [key.i64 ?? inner(key), inner(item)]));
  if ('application' in value) return new Thrift.TApplicationException(...value.application);
  if ('undeclared' in value) return new Error('a secret');
  const fields = Object.entries(value.fields).map(([name, item]) => [name, inner(item)]);
  return new types[value.struct](Object.fromEntries(fields));
}

// JSON for a value. Numbers keep all their bits; the reader knows the types.
function toJSON(value) {
  if (value === null || value === undefined) return null;
  if (typeof value === 'number') return { double: hexOf(value) };
  if (typeof value !== 'object') return value;
  if (value instanceof Int64) return { i64: value.buffer.readBigInt64BE(value.offset).toString() };
  if (Buffer.isBuffer(value)) return { binary: value.toString('base64') };
  if (Array.isArray(value)) return value.map(toJSON);
  if (value instanceof Thrift.TApplicationException) return { application: [value.type, value.message] };
  if (value instanceof Error && !isStruct(value)) return { error: value.message };
  const entries = Object.keys(value).map((name) => [name, toJSON(value[name])]);
  const name = value instanceof Error ? value.name : ''; // the classes of structs have no names
  return isStruct(value) ? { struct: name, fields: Object.fromEntries(entries) } : { map: entries };
}

module.exports = { fromJSON, toJSON };
