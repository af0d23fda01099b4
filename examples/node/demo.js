// Serves Glossary and calls it, on two connections of one program: node demo.js amqp://localhost

'use strict';

const amqplib = require('amqplib');
const { ask } = require('./client');
const { serveGlossary } = require('./worker');

async function main(url) {
  const [ofWorker, ofClient] = await Promise.all([amqplib.connect(url), amqplib.connect(url)]);
  await serveGlossary(ofWorker);
  await ask(ofClient);
  await ofClient.close();
  await ofWorker.close();
}

main(process.argv[2] ?? 'amqp://localhost');
