// What Thrift for Node.js does by itself, without the repairs of examples/node: node generated_code.js STUBS
//
// Prints facts as JSON; bytes are in base64.

'use strict';

const path = require('node:path');
const thrift = require('thrift');

const { Int64, TBinaryProtocol, TBufferedTransport, TCompactProtocol, TJSONProtocol, Thrift } = thrift;

thrift.setLogFunc(console.error); // standard output has the facts

const Harbour = require(path.join(process.argv[2], 'Harbour'));
const { Aground, Collision } = require(path.join(process.argv[2], 'harbour_types'));

const pause = () => new Promise((resolve) => setTimeout(resolve, 20));

function reader(Protocol, body) {
  let transport;
  TBufferedTransport.receiver((filled) => { transport = filled; })(body);
  return new Protocol(transport);
}

// The bytes of a request.
function request(name, values, Protocol = TBinaryProtocol, client = undefined) {
  let body;
  const output = new TBufferedTransport(null, (bytes) => { body = bytes; });
  const caller = client ?? new Harbour.Client(output, Protocol);
  caller.output = output;
  caller[name](...values).catch(() => {});
  return body;
}

// The bytes of the reply of a generated processor; null without one.
async function reply(handler, body, Protocol = TBinaryProtocol) {
  let answered = null;
  const output = new Protocol(new TBufferedTransport(null, (bytes) => { answered = bytes; }));
  new Harbour.Processor(handler).process(reader(Protocol, body), output);
  await pause();
  return answered;
}

// The outcome of a client that has made the call `text`, for some reply.
async function outcome(body) {
  const client = new Harbour.Client(new TBufferedTransport(null, () => {}), TBinaryProtocol);
  const call = client.text('x');
  const input = reader(TBinaryProtocol, body);
  const { mtype, rseqid } = input.readMessageBegin();
  client.recv_text(input, mtype, rseqid);
  return Promise.race([call.then((value) => ['returns', value], (error) => ['raises', error]), pause()]);
}

const base64 = (bytes) => bytes && bytes.toString('base64');

async function main() {
  const facts = {};
  const rejected = [];
  process.on('unhandledRejection', (error) => rejected.push(String(error.message)));

  const client = new Harbour.Client(null, TBinaryProtocol);
  facts.seqids = [0, 1].map(() => base64(request('text', ['x'], TBinaryProtocol, client)));
  facts.seqid_of_another = base64(request('text', ['x']));

  const failing = (error) => ({ steer: (_course) => Promise.reject(error) });
  const steer = request('steer', ['x']);
  facts.undeclared = base64(await reply(failing(new Error('a secret')), steer));
  facts.application_error = base64(await reply(failing(new Thrift.TApplicationException(5, 'told')), steer));
  facts.declared = base64(await reply(failing(new Aground({ code: 1, where: 'x' })), steer));
  facts.rejections_before = [...rejected];
  await reply(failing(new Collision({ code: 7 })), steer);
  facts.undeclared_of_the_idl = rejected.splice(0);

  facts.unknown_method = base64(await reply({}, Buffer.from(steer.toString('latin1').replace('steer', 'stear'), 'latin1')));
  const signal = request('signal', [1]);
  const unknown = Buffer.from(signal.toString('latin1').replace('signal', 'signat'), 'latin1');
  facts.unknown_oneway = base64(await reply({}, unknown));
  await reply({ signal: (_lamp) => Promise.reject(new Error('of a oneway method')) }, signal);
  facts.oneway = rejected.splice(0);

  const text = request('text', ['x']);
  facts.no_encoding = base64(await reply({ text: (_it) => Promise.resolve(12) }, text));
  const empty = await reply({ text: (_it) => Promise.resolve(null) }, text);
  facts.no_result = base64(empty);
  facts.no_result_raises = await outcome(empty);

  const lights = request('lights', [[true, true]], TCompactProtocol);
  await reply({ lights: (it) => { facts.compact_bools = it; return Promise.resolve(it); } }, lights, TCompactProtocol);
  facts.json_int64 = request('large', [new Int64(-1)], TJSONProtocol).toString();
  facts.json_infinite = request('real', [Infinity], TJSONProtocol).toString();
  facts.minus_zero = base64(request('real', [-0]));
  facts.bool_keys = base64(request('lamps', [{ false: true }]));
  facts.i64_keys = base64(await reply({ levels: (_it) => Promise.resolve({ 16: 0.5 }) }, request('levels', [{}])));
  facts.large_key = Object.keys({ [new Int64(Buffer.from('1000000000000000', 'hex'))]: 1 })[0];
  facts.large_i32 = base64(request('middle', [2 ** 31]));
  process.stdout.write(JSON.stringify(facts));
}

main();
