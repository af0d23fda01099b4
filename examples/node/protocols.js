// The protocols of Thrift for Node.js (0.22 to 0.24), repaired where they write or read other values than the program has.

'use strict';

const thrift = require('thrift');

const { Int64 } = thrift;

function repaired(Protocol, methods) {
  function Repaired(...options) {
    Protocol.apply(this, options);
  }
  Repaired.prototype = Object.assign(Object.create(Protocol.prototype), { constructor: Repaired }, methods);
  return Repaired;
}

// Keys of maps are text in JavaScript, and the generated code gives it to the protocol as it is.
const boolOf = (value) => value !== 'false' && Boolean(value);

const digitsOf = (value) => (value instanceof Int64 ? value.buffer.readBigInt64BE(value.offset) : BigInt(value));

// Thrift takes text for hexadecimal digits. This takes a BigInt as well, and refuses numbers that are not whole.
function int64Of(value) {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(digitsOf(value));
  return new Int64(bytes);
}

// As the key of a map, an Int64 becomes text: "Infinity" from 2 ** 53 on.
function exact(int64) {
  return Object.assign(int64, { toString: () => String(digitsOf(int64)) });
}

const Binary = repaired(thrift.TBinaryProtocol, {
  readI64() {
    return exact(thrift.TBinaryProtocol.prototype.readI64.call(this));
  },
  writeBool(value) {
    thrift.TBinaryProtocol.prototype.writeBool.call(this, boolOf(value));
  },
  writeI64(value) {
    this.trans.write(int64Of(value).buffer);
  },
  writeDouble(value) { // Thrift writes 0 for -0
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleBE(value);
    this.trans.write(bytes);
  },
});

const Compact = repaired(thrift.TCompactProtocol, {
  readI64() {
    return exact(thrift.TCompactProtocol.prototype.readI64.call(this));
  },
  writeBool(value) {
    thrift.TCompactProtocol.prototype.writeBool.call(this, boolOf(value));
  },
  writeI64(value) {
    thrift.TCompactProtocol.prototype.writeI64.call(this, int64Of(value));
  },
  writeDouble(value) { // the compact protocol has the lowest byte first
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleLE(value);
    this.trans.write(bytes);
  },
  readBool() { // Thrift reads false for every bool in a container
    const inField = this.boolValue_.hasBoolValue;
    return inField ? thrift.TCompactProtocol.prototype.readBool.call(this) : this.trans.readByte() === 1;
  },
});

const Json = repaired(thrift.TJSONProtocol, {
  readI64() {
    return exact(thrift.TJSONProtocol.prototype.readI64.call(this));
  },
  writeBool(value) {
    thrift.TJSONProtocol.prototype.writeBool.call(this, boolOf(value));
  },
  writeI64(value) { // Thrift writes small negative numbers of an Int64 with zeros before them, which is not JSON
    this.tstack.push(String(digitsOf(value)));
  },
  writeDouble(value) { // Thrift writes Infinity and NaN, which is not JSON, and 0 for -0
    const double = Number(value);
    this.tstack.push(Number.isFinite(double) ? (Object.is(double, -0) ? '-0.0' : String(double)) : `"${double}"`);
  },
});

module.exports = { binary: Binary, compact: Compact, json: Json };
