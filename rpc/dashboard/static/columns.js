// The columns of the tables; see Table for what a column has.

import { counted, duration, latency, number } from "./format.js";

const figureColumns = [
  figure("rate", "calls/s", number),
  { ...figure("errors", "errors/s", number), level: (row) => (row.figures.errors > 0 ? "bad" : "") },
  figure("p50", "p50", latency),
  figure("p99", "p99", latency),
];

/** Of services; `select` is called with the name of the one that was pressed. */
export const serviceColumns = (select) => [
  { key: "name", title: "Service", value: (row) => row.name, text: (row) => row.name, press: select },
  ...figureColumns.map((column) => ({
    ...column,
    text: (row) => (row.counted ? column.text(row) : "–"),
  })),
  plain("running", "in flight"),
  { ...plain("waiting", "waiting"), level: (row) => (row.waiting > 0 && row.workers === 0 ? "bad" : "") },
  { ...plain("dead", "dead letters"), level: (row) => (row.dead > 0 ? "bad" : "") },
  {
    ...plain("workers", "workers"),
    text: (row) => [number(row.workers), otherStates(row)].filter(Boolean).join(": "),
    level: (row) => (row.workers === 0 || otherStates(row) ? "bad" : ""),
  },
];

export const methodColumns = [
  { key: "name", title: "Method", value: (row) => row.name, text: (row) => row.name },
  ...figureColumns,
  plain("calls", "calls"),
  {
    key: "exceptions",
    title: "exceptions and errors",
    wide: true,
    value: (row) => Object.values(row.errors).reduce((sum, count) => sum + count, 0),
    text: (row) => pairs(row.errors) || "none",
  },
];

export const workerColumns = [
  { key: "instance", title: "Worker", value: (row) => row.instance, text: (row) => row.instance },
  { key: "state", title: "state", value: (row) => row.state, text: (row) => row.state, level: stateLevel },
  { ...plain("running", "in flight"), text: (row) => `${number(row.running)} of ${number(row.concurrency)}` },
  {
    key: "started",
    title: "up for",
    numeric: true,
    value: (row) => -row.started,
    text: (row) => duration(Date.now() / 1000 - row.started),
  },
  { key: "host", title: "host", value: (row) => row.host, text: (row) => row.host },
  { key: "pid", title: "process", numeric: true, value: (row) => row.pid, text: (row) => String(row.pid) },
  { key: "version", title: "version", value: (row) => row.version, text: (row) => row.version },
  {
    key: "services",
    title: "services",
    wide: true,
    value: (row) => row.services.length,
    text: (row) => (row.services.length > 3 ? counted(row.services.length, "service") : row.services.join(", ")),
  },
];

function figure(key, title, format) {
  return { key, title, numeric: true, value: (row) => row.figures[key], text: (row) => format(row.figures[key]) };
}

function plain(key, title) {
  return { key, title, numeric: true, value: (row) => row[key], text: (row) => number(row[key]) };
}

function pairs(counts) {
  return Object.entries(counts)
    .map(([name, count]) => `${name} ${number(count)}`)
    .join(", ");
}

/** How many workers of a service do not consume its queue, by their states. */
function otherStates(row) {
  return pairs(Object.fromEntries(Object.entries(row.states).filter(([state]) => state !== "CONSUMING")));
}

function stateLevel(row) {
  return row.state === "ALIVE" ? "good" : "bad";
}
