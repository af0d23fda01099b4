// What a broker answers to amqplib, a line an observation: node amqplib_probe.js URL [SCENARIO...]
//
// A third opinion, in another language, with an encoding of numbers and a recovery of its own.

'use strict';

const { PATIENCE, Probe, describeError } = require('./amqplib_support');

const scenarios = { ...require('./amqplib_declaring'), ...require('./amqplib_messages') };

const LONGEST = 3 * PATIENCE; // milliseconds that a scenario may take

function within(milliseconds, work) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error('no end in sight')), milliseconds);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

// Run the scenarios, all or those that are chosen; one that goes wrong says how, and the next one follows.
async function main(url, ...chosen) {
  for (const [name, scenario] of Object.entries(scenarios)) {
    if (chosen.length > 0 && !chosen.includes(name)) continue;
    const probe = new Probe(url, name);
    await within(LONGEST, scenario(probe)).catch((error) => probe.say(`ended by ${describeError(error)}`));
    await within(LONGEST, probe.cleanUp()).catch((error) => probe.say(`not cleaned up: ${describeError(error)}`));
  }
}

main(...process.argv.slice(2)).then(() => process.exit(0));
