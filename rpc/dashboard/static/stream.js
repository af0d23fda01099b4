// The stream of events, and what the page knows about it.

/** Milliseconds without an event after which the server is taken for gone. It sends one every second. */
const SILENCE = 10_000;

/** Milliseconds before the page itself connects again; the browser does not after some errors. */
const AGAIN = 3_000;

export class Stream {
  /**
   * @param handlers functions by the name of an event, which take its data
   * @param changed is called when `connected` has changed
   */
  constructor(handlers, changed) {
    this.handlers = handlers;
    this.changed = changed;
    this.connected = false;
    this.source = null;
    this.timer = null;
    this.service = null;
  }

  /** Connect; with the name of the service whose methods are shown, or null. */
  open(service) {
    this.close();
    this.service = service;
    const query = service === null ? "" : `?${new URLSearchParams({ service })}`;
    const source = new EventSource(`events${query}`);
    this.source = source;
    source.onopen = () => this.heard();
    source.onerror = () => {
      this.setConnected(false);
      if (source.readyState === EventSource.CLOSED) this.later(AGAIN);
    };
    for (const [name, handler] of Object.entries(this.handlers)) {
      source.addEventListener(name, (event) => {
        this.heard();
        handler(JSON.parse(event.data));
      });
    }
    this.later(SILENCE);
  }

  /** End the connection. */
  close() {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
  }

  heard() {
    this.setConnected(true);
    this.later(SILENCE);
  }

  /** Connect again, unless an event comes before. */
  later(milliseconds) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.setConnected(false);
      this.open(this.service);
    }, milliseconds);
  }

  setConnected(connected) {
    if (this.connected === connected) return;
    this.connected = connected;
    this.changed();
  }
}
