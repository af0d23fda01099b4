// What the server has told: everything at first, then changes.

/** Points of a chart, at most: those that the server keeps, and the gaps between them. */
const MOST_POINTS = 600;

export class Model {
  constructor() {
    this.broker = null;
    this.totals = null;
    this.problems = [];
    this.failure = null; // why the workers could not be asked
    this.services = new Map();
    this.workers = new Map();
    this.points = [];
    this.detail = null; // of the one service that is looked at
  }

  /** Take the event `full`. */
  full(data) {
    this.services.clear();
    this.workers.clear();
    this.points = data.points;
    this.delta({ ...data, point: null });
  }

  /** Take the event `delta`: a row that is null is gone. */
  delta(data) {
    for (const name of ["broker", "totals", "problems", "failure"]) {
      if (name in data) this[name] = data[name];
    }
    merge(this.services, data.services);
    merge(this.workers, data.workers);
    append(this.points, data.point);
  }

  /** Take the event `service`. */
  service(data) {
    const points = data.points ?? (this.detail?.name === data.name ? this.detail.points : []);
    this.detail = { name: data.name, methods: data.methods, points };
    append(points, data.point);
  }
}

function merge(rows, changes) {
  for (const [name, row] of Object.entries(changes ?? {})) {
    if (row === null) rows.delete(name);
    else rows.set(name, row);
  }
}

/** Add a point. After a pause a point of nothing comes first, so the line has a gap. */
function append(points, point) {
  if (!point) return;
  const last = points.at(-1);
  if (last && point[0] <= last[0]) points.length = 0; // the server's time of day was set back
  if (points.length && point[0] - last[0] > 5) points.push([last[0] + 1, ...point.slice(1).map(() => null)]);
  points.push(point);
  points.splice(0, points.length - MOST_POINTS);
}
