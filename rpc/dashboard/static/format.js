// Numbers and times as text.

const DASH = "–";

/** A number with few digits: 0, 0.25, 12.3, 1,234, 56.7k, 1.2M. */
export function number(value) {
  if (value === null || value === undefined) return DASH;
  if (value === 0) return "0";
  if (value < 0.01) return "<0.01";
  if (value < 9.95 && !Number.isInteger(value)) return value.toFixed(value < 0.995 ? 2 : 1);
  if (value < 10_000) return Math.round(value).toLocaleString("en-US");
  if (value < 1_000_000) return `${(value / 1000).toFixed(value < 100_000 ? 1 : 0)}k`;
  return `${(value / 1_000_000).toFixed(1)}M`;
}

/** Seconds that a call took: 850 µs, 4.2 ms, 1.3 s. */
export function latency(seconds) {
  if (seconds === null || seconds === undefined) return DASH;
  if (seconds === 0) return "0";
  if (seconds < 0.001) return `${Math.max(1, Math.round(seconds * 1e6))} µs`;
  if (seconds < 1) return `${digits(seconds * 1e3)} ms`;
  return `${digits(seconds)} s`;
}

/** Seconds since a start: 45 s, 12 min, 3 h 5 min, 9 d 4 h. */
export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** The time of day of seconds since the epoch: 14:03:20; with the date when it was another day. */
export function clock(seconds) {
  const time = new Date(seconds * 1000);
  const text = time.toLocaleTimeString("en-GB");
  return time.toDateString() === new Date().toDateString() ? text : `${time.toISOString().slice(0, 10)} ${text}`;
}

/** A noun with its number: 1 service, 2 services. */
export function counted(count, noun) {
  return `${number(count)} ${noun}${count === 1 ? "" : "s"}`;
}

function digits(value) {
  return value < 9.95 ? value.toFixed(1) : Math.round(value).toString();
}
