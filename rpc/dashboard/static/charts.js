// The charts, by uPlot. It draws on a canvas, so each chart also has its newest values as text.

const HEIGHT = 170;
const HEIGHT_OF_PHONES = 130;

/** Steps of the axis of times, in seconds. */
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300];

/** Steps of an axis of whole numbers. */
const WHOLE = [1, 2, 5].flatMap((step) => [0, 1, 2, 3, 4, 5, 6].map((zeros) => step * 10 ** zeros)).sort((a, b) => a - b);


export class Chart {
  /**
   * @param element where the chart is drawn
   * @param text the element with the newest values, for screen readers
   * @param series {title, color (a CSS variable), column (of a point), format, dash}
   * @param whole whether the values are whole numbers
   */
  constructor(element, text, series, whole = false) {
    this.element = element;
    this.text = text;
    this.series = series;
    this.whole = whole;
    this.points = [];
    this.at = null; // the index of the point that the arrow keys have chosen
    this.plot = null;
    this.build();
    new ResizeObserver(() => this.resize()).observe(element);
    element.addEventListener("keydown", (event) => this.key(event));
    element.addEventListener("blur", () => this.point(null));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.build());
  }

  /** Draw anew, in the present colors. */
  build() {
    this.plot?.destroy();
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(name).trim();
    const axis = {
      stroke: color("--muted"),
      grid: { stroke: color("--line"), width: 1 },
      ticks: { show: false },
      font: "12px system-ui, sans-serif",
    };
    const { format } = this.series[0];
    const options = {
      width: this.width(),
      height: this.height(),
      padding: [10, 12, 0, 0],
      cursor: { y: false, drag: { x: false, y: false } },
      legend: { live: true, markers: { width: 0, fill: (_, index) => color(this.series[index - 1]?.color ?? "--muted") } },
      scales: { y: { range: (_, low, high) => [0, high > 0 ? high * 1.1 : 1] } },
      axes: [
        { ...axis, space: 70, size: 28, incrs: STEPS, values: (_, ticks) => ticks.map(timeOfDay) },
        { ...axis, space: 34, size: 58, incrs: this.whole ? WHOLE : undefined, values: (_, ticks) => ticks.map((tick) => format(tick)) },
      ],
      series: [
        { label: "time", value: (_, seconds) => (seconds === null ? "–" : timeOfDay(seconds)) },
        ...this.series.map((each) => ({
          label: each.title,
          stroke: color(each.color),
          width: 2,
          dash: each.dash,
          points: { show: false },
          value: (_, value) => each.format(value),
        })),
      ],
    };
    this.plot = new uPlot(options, this.data(), this.element);
  }

  /** Show points, oldest first. */
  show(points) {
    this.points = points;
    this.plot.setData(this.data());
    if (this.plot.cursor.idx === null) this.plot.setLegend({ idx: points.length ? points.length - 1 : null });
    if (this.at === null) this.say(points.at(-1));
  }

  /** Have the arrow keys do what the mouse does: show the values of a moment. */
  key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step === undefined || this.points.length === 0) return;
    event.preventDefault();
    const last = this.points.length - 1;
    this.point(Math.min(last, Math.max(0, (this.at ?? last) + step)));
  }

  /** Show the values of the point with this index; null: of the newest one. */
  point(index) {
    this.at = index;
    const left = index === null ? -10 : this.plot.valToPos(this.points[index][0], "x");
    this.plot.setCursor({ left, top: index === null ? -10 : 1 });
    this.say(this.points.at(index ?? -1));
    if (index === null) this.show(this.points);
  }

  /** Tell screen readers the values of a point. */
  say(point) {
    const values = (point && this.series.map((each) => `${each.title}: ${each.format(point[each.column])}`)) || ["no values yet"];
    const text = [...(this.at === null ? [] : [timeOfDay(point[0])]), ...values].join(", ");
    if (this.text.textContent !== text) this.text.textContent = text;
  }

  data() {
    return [0, ...this.series.map((each) => each.column)].map((column) => this.points.map((point) => point[column]));
  }

  width() {
    return Math.max(200, this.element.clientWidth);
  }

  height() {
    return this.width() < 360 ? HEIGHT_OF_PHONES : HEIGHT;
  }

  resize() {
    if (this.plot.width !== this.width()) this.plot.setSize({ width: this.width(), height: this.height() });
  }
}

function timeOfDay(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString("en-GB");
}
