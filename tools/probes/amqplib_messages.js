// Messages published, consumed, settled, lost and recovered, as amqplib has them.

'use strict';

const { describeMessage, fence, plain, settle, waitUntil } = require('./amqplib_support');

const REPLY_TO = 'amq.rabbitmq.reply-to';

module.exports = {
  async mandatory(probe) {
    const channel = await probe.channel(undefined, { confirms: true });
    const events = [];
    channel.on('return', (message) => events.push(`return ${describeMessage(message)}`));
    events.push(await probe.publish(channel, '', probe.name('nowhere'), 'm', { mandatory: true, messageId: 'id' }));
    for (const event of events) probe.say(event);
  },

  async publishRefused(probe) {
    const publish = (exchange, options) => (channel) => channel.publish(exchange, 'k', Buffer.from('m'), options);
    await probe.tries('missing exchange', publish(probe.name('missing'), {}));
    await probe.tries('somebody else', publish('', { userId: 'somebody' }));
    await probe.tries('no number', publish('', { expiration: 'soon' }));
    await probe.tries('delivery mode', publish('', { deliveryMode: 2 }));
  },

  async confirms(probe) {
    const channel = await probe.channel(undefined, { confirms: true });
    const queue = await probe.queue(channel, 'q', { maxLength: 2, overflow: 'reject-publish' });
    const answers = await Promise.all(['1', '2', '3', '4'].map((body) => probe.publish(channel, '', queue, body)));
    probe.say(plain(answers));
    probe.say(plain(await probe.drain(channel, queue)));
  },

  async properties(probe) {
    const channel = await probe.channel(undefined, { confirms: true });
    const queue = await probe.queue(channel);
    await probe.publish(channel, '', queue, 'all', {
      contentType: 'text/plain',
      contentEncoding: 'utf-8',
      headers: { h: 'v' },
      persistent: true,
      priority: 7,
      correlationId: 'correlation',
      replyTo: 'somewhere',
      expiration: 60000,
      messageId: 'id',
      timestamp: 1700000000,
      type: 'kind',
      userId: 'guest',
      appId: 'probe',
    });
    await probe.get(channel, queue);
    await probe.publish(channel, '', queue, '');
    await probe.get(channel, queue);
  },

  async headerTypes(probe) {
    const channel = await probe.channel(undefined, { confirms: true });
    const queue = await probe.queue(channel);
    const values = [true, 5, -5, 200, 70000, 2 ** 40, -(2 ** 40), 1.5, 'text', 'strüng', Buffer.from([0, 255]), null];
    const types = ['byte', 'short', 'int', 'long', 'float', 'double', 'timestamp'];
    values.push([1, 'two', [3]], ...types.map((type) => ({ '!': type, value: 12 })));
    values.push({ '!': 'decimal', value: { places: 2, digits: 314 } }, { a: { b: { c: 1 } } }, {});
    for (const value of values) {
      await probe.publish(channel, '', queue, 'm', { headers: { value } });
      await probe.get(channel, queue);
    }
  },

  async bodies(probe) {
    const channel = await probe.channel(await probe.connect({ frameMax: 4096 }), { confirms: true });
    const queue = await probe.queue(channel);
    for (const size of [0, 1, 4088, 4089, 100000, 3000000]) {
      const body = Buffer.alloc(size, 'a body of many letters');
      await probe.publish(channel, '', queue, body);
      const message = await channel.get(queue, { noAck: true });
      probe.say(`${size}: the same ${body.equals(message.content)}`);
    }
  },

  async deadLetters(probe) {
    const channel = await probe.channel(undefined, { confirms: true });
    const dead = await probe.queue(channel, 'dead');
    const options = { deadLetterExchange: '', deadLetterRoutingKey: dead, maxLength: 1 };
    const queue = await probe.queue(channel, 'q', options);
    await probe.publish(channel, '', queue, 'expires', { expiration: 10 });
    await probe.get(channel, dead);
    await probe.publish(channel, '', queue, 'too much');
    await probe.publish(channel, '', queue, 'rejected');
    await probe.get(channel, dead);
    channel.nack(await probe.get(channel, queue, {}), false, false);
    const { properties } = await probe.get(channel, dead);
    await probe.publish(channel, '', queue, 'rejected again', { headers: properties.headers });
    channel.reject(await probe.get(channel, queue, {}), false);
    await probe.get(channel, dead);
  },

  async priorities(probe) {
    const channel = await probe.channel(undefined, { confirms: true });
    const queue = await probe.queue(channel, 'q', { maxPriority: 5 });
    for (const priority of [1, 5, 0, 3, 9]) await probe.publish(channel, '', queue, `p${priority}`, { priority });
    probe.say(plain(await probe.drain(channel, queue)));
  },

  async prefetch(probe) {
    for (const global of [false, true]) {
      const channel = await probe.channel(undefined, { confirms: true });
      const queue = await probe.queue(channel, `q-${global}`);
      for (const body of ['1', '2', '3', '4', '5', '6']) await probe.publish(channel, '', queue, body);
      await channel.prefetch(2, global);
      const one = await probe.consume(channel, queue);
      await fence(channel, queue);
      const two = await probe.consume(channel, queue);
      await fence(channel, queue);
      probe.say(`global ${global}: ${plain(one.bodies())} ${plain(two.bodies())}`);
      channel.ack(one.came[0]);
      await waitUntil(() => one.came.length + two.came.length === (global ? 3 : 5));
      await fence(channel, queue);
      probe.say(`global ${global}, one acked: ${one.came.length + two.came.length}`);
    }
  },

  async fairRotation(probe) {
    const publisher = await probe.channel(undefined, { confirms: true });
    const queue = await probe.queue(publisher);
    const consumers = [];
    for (let number = 0; number < 3; number += 1)
      consumers.push(await probe.consume(await probe.channel(), queue, { noAck: true }));
    for (let number = 0; number < 9; number += 1) await probe.publish(publisher, '', queue, `${number}`);
    await waitUntil(() => consumers.every((consumer) => consumer.came.length === 3));
    probe.say(plain(consumers.map((consumer) => consumer.bodies())));
  },

  async consumeRefused(probe) {
    const channel = await probe.channel();
    const queue = await probe.queue(channel);
    await probe.tries('missing', (fresh) => fresh.consume(probe.name('missing'), plain));
    await probe.tries('get missing', (fresh) => fresh.get(probe.name('missing')));
    await probe.tries('made up', () => channel.consume(queue, plain), channel);
    await probe.tries('exclusive', (fresh) => fresh.consume(queue, plain, { exclusive: true }));
    await probe.tries('mine', () => channel.consume(queue, plain, { consumerTag: 'mine' }), channel);
    await probe.tries('mine again', () => channel.consume(queue, plain, { consumerTag: 'mine' }), channel);
  },

  async cancels(probe) {
    const channel = await probe.channel(undefined, { confirms: true });
    const queue = await probe.queue(channel);
    const [one, two] = [await probe.consume(channel, queue), await probe.consume(channel, queue)];
    await probe.tries('cancel', () => channel.cancel(one.consumerTag), channel);
    await probe.tries('cancel unknown', () => channel.cancel('unknown'), channel);
    await probe.publish(channel, '', queue, 'm');
    await waitUntil(() => two.came.length === 1);
    await (await probe.channel()).deleteQueue(queue);
    await waitUntil(() => two.came.length === 2);
    probe.say(`${plain(one.bodies())} ${plain(two.bodies())}`);
    await probe.tries('the channel goes on', () => channel.checkExchange('amq.topic'), channel);
  },

  async settling(probe) {
    const channel = await probe.channel(undefined, { confirms: true });
    const queue = await probe.queue(channel);
    for (const body of ['1', '2', '3', '4', '5']) await probe.publish(channel, '', queue, body);
    const messages = [];
    for (let number = 0; number < 5; number += 1) messages.push(await channel.get(queue));
    await probe.tries('ack 2 and before', () => channel.ack(messages[1], true), channel);
    await probe.tries('nack 4 and before', () => channel.nack(messages[3], true, true), channel);
    await probe.get(channel, queue);
    await probe.get(channel, queue);
    await probe.tries('reject 5', () => channel.reject(messages[4], true), channel);
    await probe.get(channel, queue, {});
    await probe.tries('recover', () => channel.recover(), channel);
    await probe.get(channel, queue, {});
    await probe.tries('nack all', () => channel.nackAll(true), channel);
    await probe.get(channel, queue, {});
    await probe.tries('ack all', () => channel.ackAll(), channel);
    await probe.tries('ack again', () => channel.ack(messages[0]), channel);
  },

  async copies(probe) {
    const channel = await probe.channel(undefined, { confirms: true });
    const [a, b] = [await probe.queue(channel, 'a'), await probe.queue(channel, 'b')];
    const c = await probe.queue(channel, 'c');
    await probe.publish(channel, '', a, 'm', { CC: [b], BCC: c });
    for (const queue of [a, b, c]) await probe.get(channel, queue);
  },

  async replyTo(probe) {
    const requester = await probe.channel(await probe.connect());
    const worker = await probe.channel(await probe.connect(), { confirms: true });
    const queue = await probe.queue(worker);
    const replies = await probe.consume(requester, REPLY_TO, { noAck: true });
    requester.publish('', queue, Buffer.from('request'), { replyTo: REPLY_TO, correlationId: '1' });
    const request = await probe.get(worker, queue);
    await probe.publish(worker, '', request.properties.replyTo, 'reply', { correlationId: '1' });
    await waitUntil(() => replies.came.length === 1);
    probe.say(describeMessage(replies.came[0]));
    await requester.close();
    const returned = [];
    worker.on('return', (message) => returned.push(message));
    await waitUntil(async () => {
      await probe.publish(worker, '', request.properties.replyTo, 'late', { mandatory: true });
      return returned.length > 0;
    });
    probe.say(`returned ${describeMessage(returned[0])}`);
    await probe.tries('with acks', (fresh) => fresh.consume(REPLY_TO, plain));
  },

  async refusedChannel(probe) {
    const channel = await probe.channel(undefined, { confirms: true });
    const queue = await probe.queue(channel);
    for (const body of ['1', '2']) await probe.publish(channel, '', queue, body);
    const consumer = await probe.consume(channel, queue);
    await waitUntil(() => consumer.came.length === 2);
    await probe.tries('refused', () => channel.checkQueue(probe.name('missing')), channel);
    const other = await probe.channel();
    await probe.waitForCount(other, queue, 2);
    await probe.get(other, queue);
    await probe.get(other, queue);
  },

  async lostConnection(probe) {
    const watcher = await probe.channel(await probe.connect(), { confirms: true });
    const queue = probe.name('q');
    await watcher.assertQueue(queue, { durable: true });
    for (const body of ['1', '2', '3']) await probe.publish(watcher, '', queue, body, { persistent: true });
    const connection = await probe.connect();
    const channel = await probe.channel(connection);
    const consumer = await probe.consume(channel, queue);
    await waitUntil(() => consumer.came.length === 3);
    channel.ack(consumer.came[0]);
    await settle(channel);
    connection.connection.stream.destroy(new Error('lost'));
    await probe.waitForCount(watcher, queue, 2);
    await probe.get(watcher, queue);
    await probe.get(watcher, queue);
    probe.say(plain(await watcher.checkQueue(queue)));
  },

  // The client's own recovery: connected again, its topology declared anew, what was not settled comes again.
  async recovery(probe) {
    const queue = probe.name('q');
    const deliveries = [];
    let latest;
    const setup = async (model) => {
      latest = await model.createConfirmChannel();
      await latest.assertQueue(queue, { durable: true });
      await latest.assertQueue('', { exclusive: true });
      await latest.consume(queue, (message) => deliveries.push(message));
    };
    const events = [];
    const connection = await probe.connect({}, { recovery: { initialDelay: 10, maxDelay: 50, jitter: 0, setup } });
    for (const event of ['disconnect', 'connect']) connection.on(event, () => events.push(event));
    for (const body of ['1', '2']) await probe.publish(latest, '', queue, body, { persistent: true });
    await waitUntil(() => deliveries.length === 2);
    latest.ack(deliveries[0]);
    await settle(latest);
    latest.connection.stream.destroy(new Error('lost'));
    await waitUntil(() => deliveries.length === 3);
    await waitUntil(() => events.includes('connect'));
    probe.say(plain(events));
    for (const delivery of deliveries) probe.say(describeMessage(delivery));
    latest.ack(deliveries[2]);
    await settle(latest);
    probe.say(plain(await latest.checkQueue(queue)));
  },
};
