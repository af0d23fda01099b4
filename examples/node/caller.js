// Calls over AMQP: requests to the exchange of the workers, replies from a queue of this program's own.

'use strict';

const crypto = require('node:crypto');
const { Call, CONTENT_TYPE, methodsOf } = require('./messages');

class Caller {
  // Resolves with a caller on a connection of amqplib.
  static async open(connection, { exchange = 'rpc' } = {}) {
    const probe = await connection.createChannel();
    await probe.checkExchange(exchange); // a publish to a missing exchange would close the channel of the calls
    await probe.close();
    const channel = await connection.createConfirmChannel();
    const { queue } = await channel.assertQueue('', { exclusive: true, autoDelete: true });
    const caller = new Caller(channel, exchange, queue);
    await channel.consume(queue, (message) => caller._replied(message), { noAck: true });
    return caller;
  }

  constructor(channel, exchange, replies) {
    this._channel = channel;
    this._exchange = exchange;
    this._replies = replies;
    this._pending = new Map();
    channel.on('return', ({ properties }) => {
      this._settle(properties.correlationId, ({ reject }) => reject(new Error('no worker serves the service')));
    });
    channel.on('close', () => {
      for (const id of [...this._pending.keys()]) {
        this._settle(id, ({ reject }) => reject(new Error('the connection was lost: the call was maybe executed')));
      }
    });
    channel.on('error', () => {}); // "close" follows
  }

  // Return an object with the methods of the service, which return promises. A oneway method's promise resolves when
  // the broker has the request.
  client(Service, service, options = {}) {
    const client = {};
    for (const name of methodsOf(Service)) {
      client[name] = (...values) => this._call(Service, service, name, values, options);
    }
    return client;
  }

  // `timeout` is in milliseconds.
  async _call(Service, service, name, values, { protocol = 'binary', timeout = 30000 }) {
    const call = new Call(Service, protocol, name, values);
    const id = crypto.randomBytes(16).toString('hex');
    const properties = {
      contentType: CONTENT_TYPE + protocol,
      correlationId: id,
      messageId: id,
      type: `${service}.${name}`,
      mandatory: true,
      // A oneway request must not be lost, so it does not expire.
      ...(call.oneway ? { deliveryMode: 2 } : { replyTo: this._replies, expiration: String(timeout) }),
    };
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this._settle(id, () => reject(new Error(`no reply within ${timeout} ms: the call was maybe executed`)));
      }, timeout);
      this._pending.set(id, { call, resolve, reject, timer });
      this._channel.publish(this._exchange, service, call.request, properties, (error) => {
        if (error) this._settle(id, () => reject(new Error("the broker has rejected the request: its queue is full")));
        else if (call.oneway) this._settle(id, () => resolve());
      });
    });
  }

  _replied(message) {
    if (message === null) { // the broker has ended the consumer
      this._channel.close();
      return;
    }
    const { correlationId, headers = {} } = message.properties;
    if ('rpc-keepalive' in headers) return;
    this._settle(correlationId, ({ call, resolve, reject }) => {
      try {
        resolve(call.settle(message.content));
      } catch (error) {
        reject(error);
      }
    });
  }

  // End a call, if it is pending: a reply can come twice, or too late.
  _settle(id, end) {
    const found = this._pending.get(id);
    if (found === undefined) return;
    this._pending.delete(id);
    clearTimeout(found.timer);
    end(found);
  }
}

module.exports = { Caller };
