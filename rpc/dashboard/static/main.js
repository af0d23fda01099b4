// The page: from events to tiles, charts and tables.

import { Chart } from "./charts.js";
import { methodColumns, serviceColumns, workerColumns } from "./columns.js";
import { clock, counted, latency, number } from "./format.js";
import { Model } from "./model.js";
import { Stream } from "./stream.js";
import { Table } from "./table.js";

const byId = (id) => document.getElementById(id);

const model = new Model();
let paused = false;

// The columns of a point: time, rate, errors, p50, p99, running, waiting.
const charts = [
  new Chart(byId("rate-chart"), byId("rate-text"), [
    { title: "calls/s", color: "--blue", column: 1, format: number },
    { title: "errors/s", color: "--red", column: 2, format: number, dash: [6, 3] },
  ]),
  new Chart(byId("latency-chart"), byId("latency-text"), [
    { title: "p50", color: "--green", column: 3, format: latency },
    { title: "p99", color: "--amber", column: 4, format: latency, dash: [6, 3] },
  ]),
  new Chart(byId("load-chart"), byId("load-text"), [
    { title: "in flight", color: "--blue", column: 5, format: number },
    { title: "waiting", color: "--amber", column: 6, format: number, dash: [6, 3] },
  ], true),
];

const services = new Table(
  byId("services-table"),
  "Services, with their calls of all workers",
  serviceColumns((name) => select(name)),
  "name",
);
const methods = new Table(byId("methods"), "Methods of the service", methodColumns, "name");
const workers = new Table(byId("workers-table"), "Workers", workerColumns, "instance");

/** The service that is looked at: the part of the address after #, so that links and the back button work. */
function selected() {
  const parameters = new URLSearchParams(location.hash.slice(1));
  return parameters.get("service");
}

function select(name) {
  location.hash = name === null ? "" : new URLSearchParams({ service: name }).toString();
}

function show() {
  showStatus();
  const name = selected();
  const row = name === null ? null : (model.services.get(name) ?? null);
  showFocus(name, row);
  showServices(name);
  showWorkers(name);
  showProblems();
}

function showFocus(name, row) {
  setText("focus-title", name ?? "All services");
  byId("back").hidden = name === null;
  const detail = name !== null && model.detail?.name === name ? model.detail : null;
  const points = name === null ? model.points : (detail?.points ?? []);
  for (const chart of charts) chart.show(points);
  showTiles(name === null ? totalTiles() : serviceTiles(row));
  byId("methods-section").hidden = name === null;
  methods.show((detail?.methods ?? []).map((each) => [each.name, each]));
  byId("methods-empty").hidden = Boolean(detail?.methods.length);
  setText("methods-empty", row && !row.counted ? "No worker counts the calls of this service." : "No method was called yet.");
}

function totalTiles() {
  const totals = model.totals;
  if (!totals) return [];
  return [
    ["services", number(totals.services)],
    ["workers", number(totals.workers), totals.workers === 0 ? "bad" : ""],
    ...figureTiles(totals),
    ["dead letters", number(totals.dead), totals.dead > 0 ? "bad" : ""],
  ];
}

function serviceTiles(row) {
  if (!row) return [["workers", "0", "bad"]];
  return [
    ["workers", number(row.workers), row.workers === 0 ? "bad" : ""],
    ["slots", number(row.concurrency)],
    ...figureTiles(row),
    ["dead letters", number(row.dead), row.dead > 0 ? "bad" : ""],
  ];
}

function figureTiles(row) {
  return [
    ["calls/s", number(row.figures.rate)],
    ["errors/s", number(row.figures.errors), row.figures.errors > 0 ? "bad" : ""],
    ["p50", latency(row.figures.p50)],
    ["p99", latency(row.figures.p99)],
    ["in flight", number(row.running)],
    ["waiting", number(row.waiting)],
  ];
}

function showTiles(tiles) {
  const list = byId("tiles");
  while (list.children.length > tiles.length) list.lastChild.remove();
  tiles.forEach(([title, text, level = ""], index) => {
    let tile = list.children[index];
    if (!tile) {
      tile = document.createElement("div");
      tile.append(document.createElement("dt"), document.createElement("dd"));
      list.append(tile);
    }
    tile.dataset.level = level;
    if (tile.firstChild.textContent !== title) tile.firstChild.textContent = title;
    if (tile.lastChild.textContent !== text) tile.lastChild.textContent = text;
  });
}

function showServices(current) {
  const wanted = byId("filter").value.trim().toLowerCase();
  const all = [...model.services];
  const found = all.filter(([name]) => name.toLowerCase().includes(wanted));
  services.current = current ?? undefined;
  services.show(found);
  setText("services-count", wanted ? `${number(found.length)} of ${counted(all.length, "service")}` : counted(all.length, "service"));
  byId("services-empty").hidden = found.length > 0;
  setText("services-empty", all.length ? "No service has this in its name." : "No service is known yet.");
}

function showWorkers(service) {
  const all = [...model.workers];
  const found = service === null ? all : all.filter(([, row]) => row.services.includes(service));
  workers.show(found);
  setText("workers-title", service === null ? "Workers" : `Workers of ${service}`);
  setText("workers-count", counted(found.length, "worker"));
  byId("workers-empty").hidden = found.length > 0;
}

function showProblems() {
  const list = byId("problems");
  byId("problems-section").hidden = model.problems.length === 0;
  if (list.dataset.shown === JSON.stringify(model.problems)) return;
  list.dataset.shown = JSON.stringify(model.problems);
  list.replaceChildren(
    ...model.problems.map((line) => {
      const item = document.createElement("li");
      item.textContent = line;
      return item;
    }),
  );
}

function showStatus() {
  const [state, text, reason = ""] = status();
  byId("status").dataset.state = state;
  setText("status", text);
  byId("reason").hidden = !reason;
  setText("reason", reason);
  setText("broker-url", model.broker?.url ?? "");
  document.body.classList.toggle("stale", state !== "up");
}

function status() {
  if (paused) return ["paused", "paused"];
  if (!stream.connected) return ["away", "dashboard not reachable", "The page tries to reach it again."];
  const broker = model.broker;
  if (!broker) return ["connecting", "connecting …"];
  const reason = broker.problem ?? "";
  if (broker.state === "away") return ["away", `broker away since ${clock(broker.since)}`, reason];
  if (broker.state === "connecting") return ["connecting", "connecting to the broker …", reason];
  return model.failure ? ["away", "no answers", model.failure] : ["up", "live"];
}

function setPaused(now) {
  paused = now;
  byId("pause").setAttribute("aria-pressed", String(paused));
  if (paused) stream.close();
  else stream.open(selected());
  show();
}

function setText(id, text) {
  const element = byId(id);
  if (element.textContent !== text) element.textContent = text;
}

function taking(take) {
  return (data) => {
    take(data);
    show();
  };
}

const stream = new Stream(
  {
    full: taking((data) => model.full(data)),
    delta: taking((data) => model.delta(data)),
    service: taking((data) => model.service(data)),
  },
  show,
);

byId("filter").addEventListener("input", show);
byId("back").addEventListener("click", () => select(null));
byId("pause").addEventListener("click", () => setPaused(!paused));
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the part of the address after # is the service that is shown
  byId("services").focus();
});
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && selected() !== null) select(null);
});
addEventListener("hashchange", () => {
  setPaused(false); // there is nothing to show of another service yet
  byId("focus-title").focus();
});

setPaused(false);
