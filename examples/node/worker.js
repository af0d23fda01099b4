// Serves the service Glossary until Ctrl-C: node worker.js amqp://localhost

'use strict';

const amqplib = require('amqplib');
const { serve } = require('./server');
const Glossary = require('./generated/Glossary');
const { UnknownTerm } = require('./generated/glossary_types');

class GlossaryHandler {
  constructor() {
    this._explanations = new Map();
  }

  async define(term, explanation) {
    this._explanations.set(term, explanation);
  }

  async explain(term) {
    if (!this._explanations.has(term)) throw new UnknownTerm({ term });
    return this._explanations.get(term);
  }

  async noticed(_term) {}
}

const serveGlossary = (connection) => serve(connection, Glossary, 'Glossary', new GlossaryHandler());

async function main(url) {
  const connection = await amqplib.connect(url);
  await serveGlossary(connection);
  console.log('serving Glossary');
  process.once('SIGINT', () => connection.close()); // requests that are not acked go to another worker
}

if (require.main === module) main(process.argv[2] ?? 'amqp://localhost');

module.exports = { serveGlossary };
