// Logging in, exchanges, queues and their bindings, as amqplib has them.

'use strict';

const { plain } = require('./amqplib_support');

module.exports = {
  async login(probe) {
    await probe.connect();
    probe.say('guest is let in');
    const cases = {
      'wrong password': { password: 'wrong' },
      'unknown user': { username: 'nobody' },
      'virtual host': { vhost: 'x' },
    };
    for (const [what, changes] of Object.entries(cases)) {
      const error = await probe.connect(changes).catch((failure) => failure);
      probe.say(`${what}: ${error.message}`);
    }
  },

  async serverProperties(probe) {
    const { connection } = await probe.connect();
    probe.say(plain(connection.serverProperties.capabilities));
    probe.say(plain(Object.keys(connection.serverProperties).sort()));
    probe.say(`channelMax ${connection.channelMax} frameMax ${connection.frameMax} heartbeat ${connection.heartbeat}`);
    const asked = (await probe.connect({ channelMax: 10, frameMax: 8192, heartbeat: 7 })).connection;
    probe.say(`channelMax ${asked.channelMax} frameMax ${asked.frameMax} heartbeat ${asked.heartbeat}`);
  },

  async exchangeDeclare(probe) {
    for (const type of ['direct', 'topic', 'fanout', 'headers', 'unheard-of'])
      await probe.tries(type, (channel) => channel.assertExchange(probe.name(`x-${type}`), type, { durable: false }));
    const name = probe.name('x-direct');
    await probe.tries('check', (channel) => channel.checkExchange(name));
    await probe.tries('check missing', (channel) => channel.checkExchange(probe.name('missing')));
    for (const changes of [{ durable: true }, { autoDelete: true }, { internal: true }, { alternateExchange: 'x' }]) {
      const options = { durable: false, ...changes };
      await probe.tries(plain(changes), (channel) => channel.assertExchange(name, 'direct', options));
    }
    await probe.tries('another type', (channel) => channel.assertExchange(name, 'topic', { durable: false }));
    await probe.tries('reserved', (channel) => channel.assertExchange('amq.mine', 'topic'));
    await probe.tries('default', (channel) => channel.assertExchange('', 'direct'));
  },

  async exchangeDelete(probe) {
    const channel = await probe.channel();
    const [name, queue] = [await probe.exchange(channel, 'x', 'direct'), await probe.queue(channel)];
    await channel.bindQueue(queue, name, 'k');
    await probe.tries('used', (fresh) => fresh.deleteExchange(name, { ifUnused: true }));
    await probe.tries('anyhow', (fresh) => fresh.deleteExchange(name));
    await probe.tries('missing', (fresh) => fresh.deleteExchange(name));
    await probe.tries('amq.fanout', (fresh) => fresh.deleteExchange('amq.fanout'));
  },

  async exchangeToExchange(probe) {
    const channel = await probe.channel(undefined, { confirms: true });
    const [source, target] = [await probe.exchange(channel, 'a', 'topic'), await probe.exchange(channel, 'b', 'topic')];
    const queue = await probe.queue(channel);
    await probe.tries('bind', () => channel.bindExchange(target, source, 'a.#'), channel);
    await channel.bindQueue(queue, target, '*.b');
    for (const key of ['a.b', 'a.c', 'c.b']) {
      await probe.publish(channel, source, key, key);
      probe.say(`${key}: ${plain(await probe.drain(channel, queue))}`);
    }
    await probe.tries('unbind', () => channel.unbindExchange(target, source, 'a.#'), channel);
    await probe.tries('missing', (fresh) => fresh.bindExchange(target, probe.name('missing'), ''));
  },

  async queueDeclare(probe) {
    await probe.tries('by the broker', (channel) => channel.assertQueue('', { exclusive: true }));
    const name = probe.name('q');
    await probe.tries('by the client', (channel) => channel.assertQueue(name, { durable: false }));
    await probe.tries('check', (channel) => channel.checkQueue(name));
    await probe.tries('check missing', (channel) => channel.checkQueue(probe.name('missing')));
    for (const options of [{ durable: true }, { autoDelete: true }, { exclusive: true }])
      await probe.tries(plain(options), (channel) => channel.assertQueue(name, { durable: false, ...options }));
    await probe.tries('reserved', (channel) => channel.assertQueue('amq.mine'));
  },

  async queueArguments(probe) {
    const many = [
      { messageTtl: 1000 },
      { messageTtl: -1 },
      { messageTtl: 100000 },
      { messageTtl: 1.5 },
      { messageTtl: '1000' },
      { expires: 0 },
      { maxLength: -5 },
      { maxLength: 3 },
      { maxPriority: 256 },
      { maxPriority: 10 },
      { overflow: 'bad' },
      { deadLetterRoutingKey: 'k' },
      { deadLetterExchange: 'x', deadLetterRoutingKey: 'k' },
      { arguments: { 'x-message-ttl': { '!': 'short', value: 1000 } } },
      { arguments: { 'x-message-ttl': { '!': 'long', value: 1000 } } },
      { arguments: { 'x-message-ttl': { '!': 'byte', value: 10 } } },
      { arguments: { 'x-message-ttl': { '!': 'float', value: 10 } } },
      { arguments: { 'x-message-ttl': { '!': 'timestamp', value: 10 } } },
      { arguments: { 'x-message-ttl': { '!': 'decimal', value: { places: 1, digits: 10 } } } },
    ];
    for (const options of many) {
      const name = probe.name('q');
      await probe.tries(plain(options), (channel) => channel.assertQueue(name, { durable: false, ...options }));
      await probe.tries(`${plain(options)}, again without`, (channel) => channel.assertQueue(name, { durable: false }));
      await (await probe.channel()).deleteQueue(name);
    }
  },

  async queueArgumentsAgain(probe) {
    const name = probe.name('q');
    const same = { durable: false, arguments: { 'x-message-ttl': { '!': 'int', value: 1000 }, 'x-other': 1 } };
    await (await probe.channel()).assertQueue(name, same);
    for (const type of ['short', 'int', 'long', 'double', 'timestamp']) {
      const options = { durable: false, arguments: { 'x-message-ttl': { '!': type, value: 1000 } } };
      await probe.tries(type, (channel) => channel.assertQueue(name, options));
    }
    const options = { durable: false, messageTtl: 1000, arguments: { 'x-other': 2 } };
    await probe.tries('an argument that means nothing', (channel) => channel.assertQueue(name, options));
  },

  async queueExclusive(probe) {
    const [owner, other] = [await probe.connect(), await probe.connect()];
    const name = await probe.queue(await probe.channel(owner));
    for (const method of ['assertQueue', 'checkQueue', 'purgeQueue', 'deleteQueue', 'get'])
      await probe.tries(method, (channel) => channel[method](name), await probe.channel(other));
    await probe.tries('consume', (channel) => channel.consume(name, plain), await probe.channel(other));
  },

  async queueDelete(probe) {
    const channel = await probe.channel(undefined, { confirms: true });
    const queue = await probe.queue(channel);
    for (const body of ['1', '2']) await probe.publish(channel, '', queue, body);
    await probe.tries('not empty', (fresh) => fresh.deleteQueue(queue, { ifEmpty: true }));
    await probe.tries('purge', () => channel.purgeQueue(queue), channel);
    await probe.consume(channel, queue);
    await probe.tries('used', (fresh) => fresh.deleteQueue(queue, { ifUnused: true }));
    await probe.tries('anyhow', () => channel.deleteQueue(queue), channel);
    await probe.tries('missing', (fresh) => fresh.deleteQueue(queue));
    await probe.tries('purge missing', (fresh) => fresh.purgeQueue(queue));
  },

  async queueBind(probe) {
    const channel = await probe.channel();
    const [queue, missing] = [await probe.queue(channel), probe.name('missing')];
    await probe.tries('bind', () => channel.bindQueue(queue, 'amq.topic', 'a.*'), channel);
    await probe.tries('unbind', () => channel.unbindQueue(queue, 'amq.topic', 'a.*'), channel);
    await probe.tries('unbind again', () => channel.unbindQueue(queue, 'amq.topic', 'a.*'), channel);
    await probe.tries('to missing', (fresh) => fresh.bindQueue(queue, missing, 'k'));
    await probe.tries('missing', (fresh) => fresh.bindQueue(missing, 'amq.topic', 'k'));
    await probe.tries('to the default one', (fresh) => fresh.bindQueue(queue, '', 'k'));
  },

  async headersMatch(probe) {
    const channel = await probe.channel(undefined, { confirms: true });
    const [exchange, queue] = [await probe.exchange(channel, 'x', 'headers'), await probe.queue(channel)];
    const many = [{}, { a: 1 }, { a: 1, b: 'x' }, { a: { '!': 'long', value: 1 } }, { a: '1' }, { b: 'x', c: 1 }];
    for (const binding of [{ 'x-match': 'all', a: 1, b: 'x' }, { 'x-match': 'any', a: 1, b: 'x' }]) {
      await channel.bindQueue(queue, exchange, '', binding);
      for (const headers of many) {
        await probe.publish(channel, exchange, '', 'm', { headers });
        probe.say(`${plain(binding)} ${plain(headers)}: ${(await probe.drain(channel, queue)).length}`);
      }
      await channel.unbindQueue(queue, exchange, '', binding);
    }
  },
};
