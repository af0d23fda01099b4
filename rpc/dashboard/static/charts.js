// The charts, by uPlot. It draws on a canvas, so each chart also has its newest values as text.

const HEIGHT = 170;
const HEIGHT_OF_PHONES = 130;

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
    this.plot = null;
    this.build();
    new ResizeObserver(() => this.resize()).observe(element);
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
        { ...axis, space: 70, size: 28, values: (_, ticks) => ticks.map(timeOfDay) },
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
    const last = points.at(-1);
    const values = last ? this.series.map((each) => `${each.title}: ${each.format(last[each.column])}`) : ["no values yet"];
    const text = values.join(", ");
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
