// What the scenarios of amqplib's probe have in common: names, connections, and how what they see is put into words.

'use strict';

const crypto = require('node:crypto');
const amqplib = require('amqplib');

const PATIENCE = 10000; // milliseconds until what is awaited counts as not happening

const VARYING = [
  [/amq\.gen-[\w-]+/g, 'amq.gen-NAME'],
  [/amq\.ctag-[\w-]+/g, 'amq.ctag-TAG'],
  [/amq\.rabbitmq\.reply-to\.[\w+/=.-]+/g, 'amq.rabbitmq.reply-to.TOKEN'],
];

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// Ask until the condition holds; whether it does.
async function waitUntil(condition) {
  const deadline = Date.now() + PATIENCE;
  while (!(await condition())) {
    if (Date.now() > deadline) return false;
    await pause(5);
  }
  return true;
}

// A value as text that is the same on every run: keys in order, buffers as text.
function plain(value, key) {
  if (key === 'time') return 'TIME';
  if (Buffer.isBuffer(value)) return `Buffer ${JSON.stringify(value.toString('latin1'))}`;
  if (Array.isArray(value)) return `[${value.map((item) => plain(item)).join(', ')}]`;
  if (value !== null && typeof value === 'object') {
    const known = Object.keys(value).filter((name) => value[name] !== undefined);
    return `{${known.sort().map((name) => `${name}: ${plain(value[name], name)}`).join(', ')}}`;
  }
  return JSON.stringify(value) ?? 'nothing';
}

function describeMessage(message) {
  if (!message) return 'no message';
  const { consumerTag, ...fields } = message.fields;
  const body = message.content.length > 100 ? `${message.content.length} bytes` : JSON.stringify(`${message.content}`);
  return `${body} ${plain(fields)} ${plain(message.properties)}`;
}

function describeError(error) {
  const fault = error.classId === undefined ? '' : ` (method ${error.classId}.${error.methodId})`;
  return `${error.code ?? error.name} ${error.message}${fault}`;
}

// Have the broker answer twice, so that what it had to say before has been said.
async function settle(channel) {
  await channel.checkExchange('amq.direct');
  await channel.checkExchange('amq.direct');
}

// Have a queue answer twice, so that what it delivers to this channel has come.
async function fence(channel, queue) {
  await channel.checkQueue(queue);
  await channel.checkQueue(queue);
}

// One scenario's view of the broker. All that it names is deleted in the end.
class Probe {
  constructor(url, scenario) {
    this.url = url;
    this.scenario = scenario;
    this.run = `probe-${crypto.randomBytes(6).toString('hex')}.`;
    this.names = new Set();
    this.connections = [];
  }

  say(text) {
    let line = text.replaceAll(this.run, '');
    for (const [pattern, placeholder] of VARYING) line = line.replace(pattern, placeholder);
    console.log(`${this.scenario}: ${line}`.replaceAll('\n', '\\n'));
  }

  name(label) {
    this.names.add(this.run + label);
    return this.run + label;
  }

  // A new connection, which ends with the scenario; `lastError` is what the broker closed it with.
  async connect(changes = {}, options = {}) {
    const url = new URL(this.url);
    const parameters = {
      protocol: 'amqp',
      hostname: url.hostname,
      port: Number(url.port),
      username: decodeURIComponent(url.username),
      password: decodeURIComponent(url.password),
      ...changes,
    };
    const connection = await amqplib.connect(parameters, { timeout: PATIENCE, noDelay: true, ...options });
    connection.on('error', (error) => {
      connection.lastError = error;
    });
    connection.on('close', () => {
      connection.closed = true;
    });
    this.connections.push(connection);
    return connection;
  }

  // A new channel, on the scenario's latest connection unless another is given; `lastError` as above.
  async channel(connection, { confirms = false } = {}) {
    let used = connection ?? this.connections.at(-1);
    if (used === undefined || used.closed) used = await this.connect();
    const channel = confirms ? await used.createConfirmChannel() : await used.createChannel();
    channel.on('error', (error) => {
      channel.lastError = error;
    });
    channel.of = used;
    return channel;
  }

  async queue(channel, label = 'q', options = {}) {
    return (await channel.assertQueue(this.name(label), { exclusive: true, durable: false, ...options })).queue;
  }

  async exchange(channel, label, type, options = {}) {
    return (await channel.assertExchange(this.name(label), type, { durable: false, ...options })).exchange;
  }

  // Call a method of a channel (a new one, unless one is given), and say what came of it.
  // A method without an answer is followed by one that has an answer, so that a refusal is seen.
  async tries(what, call, given) {
    let channel = given;
    try {
      channel ??= await this.channel();
      const answer = call(channel);
      const result = await answer;
      if (!(answer instanceof Promise)) await settle(channel);
      this.say(`${what}: ${answer instanceof Promise ? plain(result) : 'ok'}`);
      return result;
    } catch (error) {
      // A connection that is closed fails the method with less than the connection itself has been told.
      if (error.code === undefined && channel) await waitUntil(() => channel.lastError || channel.of.lastError);
      this.say(`${what}: ${describeError(channel?.lastError ?? channel?.of.lastError ?? error)}`);
      return undefined;
    }
  }

  // Take a message as soon as there is one, and say what it is.
  async get(channel, queue, options = { noAck: true }) {
    let message = false;
    await waitUntil(async () => {
      message = await channel.get(queue, options);
      return message;
    });
    this.say(`got ${describeMessage(message)}`);
    return message;
  }

  async drain(channel, queue) {
    const bodies = [];
    for (;;) {
      const message = await channel.get(queue, { noAck: true });
      if (!message) return bodies;
      bodies.push(`${message.content}`);
    }
  }

  async waitForCount(channel, queue, count) {
    await waitUntil(async () => (await channel.checkQueue(queue)).messageCount === count);
    this.say(`${queue} has ${(await channel.checkQueue(queue)).messageCount} ready`);
  }

  // Publish on a channel in confirm mode: 'ack' or 'nack', when it comes.
  publish(channel, exchange, key, body, options = {}) {
    return new Promise((resolve) => {
      const content = Buffer.from(body);
      channel.publish(exchange, key, content, options, (error) => resolve(error ? 'nack' : 'ack'));
    });
  }

  async consume(channel, queue, options = {}) {
    const came = [];
    const { consumerTag } = await channel.consume(queue, (message) => came.push(message), options);
    return { came, consumerTag, bodies: () => came.map((message) => message && `${message.content}`) };
  }

  async cleanUp() {
    for (const connection of this.connections) await connection.close().catch(() => undefined);
    const connection = await amqplib.connect(this.url, { noDelay: true });
    const channel = await connection.createChannel();
    for (const name of this.names) {
      await channel.deleteQueue(name);
      await channel.deleteExchange(name);
    }
    await connection.close();
  }
}

module.exports = { Probe, PATIENCE, describeError, describeMessage, fence, plain, settle, waitUntil };
