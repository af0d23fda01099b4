// A worker over AMQP: it consumes the queue of a service, and replies to the queues of the callers.

'use strict';

const { Thrift } = require('thrift');
const { CONTENT_TYPE, PROTOCOLS, answer, exception, headerOf, protocolOf } = require('./messages');

const { INTERNAL_ERROR, INVALID_PROTOCOL, PROTOCOL_ERROR } = Thrift.TApplicationExceptionType;

// The largest reply. A broker closes the channel (406) of a larger message than its max_message_size, and would then
// deliver the request again.
const LARGEST = 16 * 1024 * 1024;

// Serve a service on a connection of amqplib. Resolves with the channel when the service's queue is consumed; closing
// the channel ends the worker.
async function serve(connection, Service, service, handler, { exchange = 'rpc', concurrency = 100 } = {}) {
  const channel = await connection.createConfirmChannel();
  const queue = `rpc.${service}`;
  await channel.assertExchange(exchange, 'direct', { durable: true });
  await channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': 'classic' } });
  await channel.bindQueue(queue, exchange, service);
  await channel.prefetch(concurrency);
  await channel.consume(queue, async (message) => {
    if (message === null) { // the queue was deleted
      channel.close();
      return;
    }
    await respond(channel, message, await replyTo(Service, handler, message));
    channel.ack(message); // after the reply: a worker that dies before loses no call
  });
  return channel;
}

// Resolves with the bytes of the reply, or null.
async function replyTo(Service, handler, message) {
  const Protocol = protocolOf(message.properties.contentType);
  if (Protocol === undefined) {
    return exception(PROTOCOLS.binary, INVALID_PROTOCOL, `unknown content type ${message.properties.contentType}`);
  }
  try {
    const reply = await answer(Service, handler, Protocol, message.content);
    if (reply === null || reply.length <= LARGEST) return reply;
    const { name, seqid } = headerOf(Protocol, message.content);
    return exception(Protocol, INTERNAL_ERROR, 'the reply is too large', name, seqid);
  } catch (error) {
    console.error('a request cannot be read:', error);
    return exception(Protocol, PROTOCOL_ERROR, 'the request is not a Thrift message');
  }
}

// Publish a reply. Resolves when the broker has it, or has dropped it because its caller is gone.
function respond(channel, { properties }, reply) {
  // Only queues that the broker named: a caller could name the queue of others.
  if (reply === null || !(properties.replyTo ?? '').startsWith('amq.gen-')) return Promise.resolve();
  const { correlationId, messageId, expiration, type, contentType } = properties;
  const known = protocolOf(contentType) === undefined ? `${CONTENT_TYPE}binary` : contentType;
  return new Promise((resolve) => {
    const options = { contentType: known ?? `${CONTENT_TYPE}binary`, correlationId, messageId, expiration, type };
    channel.publish('', properties.replyTo, reply, { ...options, deliveryMode: 1 }, () => resolve());
  });
}

module.exports = { serve };
