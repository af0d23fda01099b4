// Thrift messages as bytes, with the code that Thrift's compiler generates. Nothing here knows AMQP.

'use strict';

const { Thrift, TBufferedTransport } = require('thrift');
const PROTOCOLS = require('./protocols');

const { EXCEPTION, ONEWAY } = Thrift.MessageType;
const { INTERNAL_ERROR, MISSING_RESULT, UNKNOWN_METHOD } = Thrift.TApplicationExceptionType;

const CONTENT_TYPE = 'application/vnd.apache.thrift.';

// The protocol of a content type. A message without one is binary; undefined for one that is unknown.
function protocolOf(contentType) {
  if (!contentType) return PROTOCOLS.binary;
  return contentType.startsWith(CONTENT_TYPE) ? PROTOCOLS[contentType.slice(CONTENT_TYPE.length)] : undefined;
}

function reader(Protocol, body) {
  let transport;
  TBufferedTransport.receiver((filled) => { transport = filled; })(body);
  return new Protocol(transport);
}

function headerOf(Protocol, body) {
  const { fname, mtype, rseqid } = reader(Protocol, body).readMessageBegin();
  return { name: fname, type: mtype, seqid: rseqid };
}

// The names of a service's methods, also of those that it inherits.
function methodsOf(Service) {
  const names = new Set();
  for (let level = Service.Client.prototype; level !== null; level = Object.getPrototypeOf(level)) {
    for (const name of Object.getOwnPropertyNames(level)) if (name.startsWith('send_')) names.add(name.slice(5));
  }
  return [...names];
}

// The number of a method's arguments in the IDL.
const countArguments = (Service, name) => Service.Client.prototype[`send_${name}`].length;

// One call. It has a generated client of its own, so a call that does not encode leaves nothing behind for the next.
// Each generated client counts its seqids from 1: a program with several must tell replies by the correlation id.
class Call {
  // Encode the request. Throws what the generated code throws for arguments that do not fit.
  constructor(Service, protocol, name, values) {
    this.name = name;
    this.Protocol = PROTOCOLS[protocol];
    this._client = new Service.Client(new TBufferedTransport(null, (body) => { this.request = body; }), this.Protocol);
    this._client._seqid = this._client.new_seqid();
    this._client[`send_${name}`](...values);
    this.oneway = headerOf(this.Protocol, this.request).type === ONEWAY;
  }

  // Return the result of a reply, or throw its exception.
  settle(reply) {
    const input = reader(this.Protocol, reply);
    const { fname, mtype, rseqid } = input.readMessageBegin();
    // A worker that cannot read the beginning of a request answers with an exception that has neither name nor seqid.
    const unread = mtype === EXCEPTION && fname === '';
    if (!unread && (fname !== this.name || rseqid !== this._client.seqid())) throw new Error('the reply is of another call');
    let failure = null;
    let value;
    this._client._reqs[rseqid] = (error, result) => { failure = error; value = result; };
    this._client[`recv_${this.name}`](input, mtype, rseqid);
    if (failure === null) return value;
    throw failure instanceof Error ? failure : new Thrift.TApplicationException(MISSING_RESULT, failure);
  }
}

// A protocol object that drops what was written when a message begins: the generated processor writes its exception
// behind the half of a reply that did not encode. When an exception begins, `failed` is called, and nothing is written:
// the generated code takes the message of any error for text, and an error here would end the process.
function beginningAnew(Protocol, transport, failed) {
  const output = new Protocol(transport);
  output.writeMessageBegin = (name, type, seqid) => {
    transport.reset();
    for (const key of Object.keys(output)) if (key !== 'writeMessageBegin') delete output[key];
    Object.assign(output, new Protocol(transport));
    if (type !== EXCEPTION) return Protocol.prototype.writeMessageBegin.call(output, name, type, seqid);
    for (const key in Protocol.prototype) output[key] = () => {};
    failed();
  };
  return output;
}

// The method of a handler, as the generated processor wants it: it returns a promise, and has as many arguments as in
// the IDL. `ended` is called when the promise of a oneway method ends: the generated code ignores it, and its error
// would end the process. `raised` gets the error of another method.
function guarded(Service, handler, name, raised, ended) {
  const method = async (...values) => {
    try {
      return await handler[name](...values);
    } catch (error) {
      raised(error);
      if (ended === null) throw error;
    } finally {
      if (ended !== null) ended();
    }
  };
  return Object.defineProperty(method, 'length', { value: countArguments(Service, name) });
}

// Run the handler for a request. Resolves with the reply; with null for a oneway request, when its handler has run.
// Rejects when the request cannot be read.
function answer(Service, handler, Protocol, request) {
  return new Promise((resolve, reject) => {
    const { name, type, seqid } = headerOf(Protocol, request);
    const ended = type === ONEWAY ? () => resolve(null) : null;
    if (!methodsOf(Service).includes(name)) {
      resolve(ended === null ? exception(Protocol, UNKNOWN_METHOD, `Unknown function ${name}`, name, seqid) : null);
      return;
    }
    let error = null;
    const raised = (found) => {
      error = found;
      if (ended !== null) console.error(`${name} failed:`, error);
    };
    // The generated code sends an undeclared error's text to the caller, and Thrift for Node.js does not write the type
    // of a TApplicationException. So its exceptions are replaced.
    const failed = () => {
      const told = error instanceof Thrift.TApplicationException;
      if (!told) console.error(`${name} failed:`, error ?? 'its result does not fit');
      const [kind, text] = told ? [error.type, error.message] : [INTERNAL_ERROR, 'Internal error'];
      resolve(exception(Protocol, kind, text, name, seqid));
    };
    try {
      const output = beginningAnew(Protocol, new TBufferedTransport(null, resolve), failed);
      const methods = { [name]: guarded(Service, handler, name, raised, ended) };
      new Service.Processor(methods).process(reader(Protocol, request), output);
    } catch (unread) {
      reject(unread);
    }
  });
}

// The bytes of an EXCEPTION. One for a request whose beginning cannot be read has no name, and seqid 0.
function exception(Protocol, type, message, name = '', seqid = 0) {
  let body;
  const output = new Protocol(new TBufferedTransport(null, (bytes) => { body = bytes; }));
  output.writeMessageBegin(name, EXCEPTION, seqid);
  const error = new Thrift.TApplicationException(type, message);
  error.code = type; // what Thrift for Node.js writes as the type, and never sets
  error.write(output);
  output.writeMessageEnd();
  output.flush();
  return body;
}

module.exports = { Call, CONTENT_TYPE, PROTOCOLS, answer, exception, headerOf, methodsOf, protocolOf };
