// A client and a worker in Node.js that play the cases of the cross-language test, on the code of examples/node.
//
// node peer.js EXAMPLE STUBS [URL]; then one command a line on standard input, and one answer a line on standard output.
// With a URL it is connected to that broker. Without one, its calls go through a gateway.

'use strict';

const path = require('node:path');
const readline = require('node:readline');

const [example, stubs, url] = process.argv.slice(2);
const amqplib = require(path.join(example, 'node_modules/amqplib'));
const { Caller } = require(path.join(example, 'caller'));
const { serve } = require(path.join(example, 'server'));
const { PROTOCOLS, methodsOf } = require(path.join(example, 'messages'));
const { setLogFunc } = require('thrift');
const { Stock } = require('./stock');
const { fromJSON, toJSON } = require('./values');

setLogFunc(console.error); // standard output has the answers

const stubOf = (name) => require(path.join(stubs, name));

// The classes of the structs, by the program that they are in.
const typesOf = (program) => require(path.join(stubs, `${program}_types`));

// The last answer of a handler, and the arguments of its calls.
const notes = { answer: null, taken: [] };

// A handler of any service: it notes its arguments, and returns or raises as it is told.
function handlerOf(Service) {
  const called = (...values) => {
    notes.taken.push(values);
    const [what, value] = notes.answer;
    if (what === 'raises') throw value;
    return value;
  };
  return Object.fromEntries(methodsOf(Service).map((name) => [name, called]));
}

const COMMANDS = {
  // Serve services: pairs of a stub's name and the service's name on the broker.
  async serve({ services }, connection) {
    for (const [stub, service] of services) {
      await serve(connection, stubOf(stub), service, handlerOf(stubOf(stub)));
    }
    return true;
  },

  // Set the answer of the handlers, and forget their calls.
  async answer({ what, value, program }) {
    notes.taken = [];
    try {
      notes.answer = [what, fromJSON(value, typesOf(program))];
    } catch (error) {
      notes.answer = ['raises', error]; // the class of a struct refuses a required field that is unset
    }
    return true;
  },

  // Return the arguments of the calls since the last answer was set.
  async taken() {
    return notes.taken.map((values) => values.map(toJSON));
  },

  // Call a method, and return the outcome.
  async call({ stub, program, service, method, values, protocol }, _connection, caller) {
    const client = caller.client(stubOf(stub), service, { protocol, timeout: 20000 });
    return outcomeOf(() => client[method](...values.map((value) => fromJSON(value, typesOf(program)))));
  },

  // The same with the connections of Thrift's library.
  async call_stock({ stub, program, service, method, values, protocol, door, port }) {
    stock ??= new Stock({ door, port, protocol: PROTOCOLS[protocol] });
    const given = () => values.map((value) => fromJSON(value, typesOf(program)));
    return outcomeOf(() => stock.call(stubOf(stub), service, method, given()));
  },
};

let stock = null;

async function outcomeOf(call) {
  try {
    return { returns: toJSON(await call()) };
  } catch (error) {
    return { raises: typeof error === 'string' ? { error } : toJSON(error) };
  }
}

async function main() {
  const connection = url === undefined ? null : await amqplib.connect(url);
  let caller = null;
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { command, ...rest } = JSON.parse(line);
    if (command === 'call' && caller === null) caller = await Caller.open(connection); // the exchange is there by now
    process.stdout.write(`${JSON.stringify(await COMMANDS[command](rest, connection, caller))}\n`);
  }
  stock?.close();
  await connection?.close();
}

main();
