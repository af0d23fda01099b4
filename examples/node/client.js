// Calls the service Glossary: node client.js amqp://localhost

'use strict';

const amqplib = require('amqplib');
const { Caller } = require('./caller');
const Glossary = require('./generated/Glossary');
const { UnknownTerm } = require('./generated/glossary_types');

async function ask(connection) {
  const caller = await Caller.open(connection);
  for (const protocol of ['binary', 'compact', 'json']) {
    const glossary = caller.client(Glossary, 'Glossary', { protocol, timeout: 5000 });
    await glossary.define('AMQP', 'Advanced Message Queuing Protocol');
    await glossary.noticed('AMQP');
    console.log(`${protocol}: ${await glossary.explain('AMQP')}`);
    try {
      await glossary.explain('SOAP');
    } catch (error) {
      if (!(error instanceof UnknownTerm)) throw error;
      console.log(`${protocol}: no definition of ${error.term}`);
    }
  }
}

async function main(url) {
  const connection = await amqplib.connect(url);
  await ask(connection);
  await connection.close();
}

if (require.main === module) main(process.argv[2] ?? 'amqp://localhost');

module.exports = { ask };
