// A table that can be sorted, and whose rows stay the same elements while their numbers change: focus and selection
// stay where they are. All text is set as text, never as HTML.

export class Table {
  /**
   * @param element the <table>
   * @param caption what the table has, for screen readers
   * @param columns {key, title, value(row), text(row), numeric, wide, press(key), level(row)}; with `press` the cell is a button
   * @param sort the key of the first sort
   */
  constructor(element, caption, columns, sort) {
    this.columns = columns;
    this.sort = { key: sort, descending: false };
    this.rows = new Map();
    this.data = [];
    element.createCaption().textContent = caption;
    this.head = element.createTHead().insertRow();
    this.body = element.createTBody();
    for (const column of columns) this.head.append(this.heading(column));
    this.showSort();
  }

  heading(column) {
    const cell = document.createElement("th");
    cell.scope = "col";
    if (column.numeric) cell.className = "numeric";
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = column.title;
    button.addEventListener("click", () => this.sortBy(column));
    cell.append(button);
    return cell;
  }

  /** Sort by a column: numbers begin with the largest. Again: the other way round. */
  sortBy(column) {
    const same = this.sort.key === column.key;
    this.sort = { key: column.key, descending: same ? !this.sort.descending : Boolean(column.numeric) };
    this.showSort();
    this.show(this.data);
  }

  showSort() {
    this.columns.forEach((column, index) => {
      const cell = this.head.cells[index];
      if (column.key !== this.sort.key) cell.removeAttribute("aria-sort");
      else cell.setAttribute("aria-sort", this.sort.descending ? "descending" : "ascending");
    });
  }

  /** Show rows: [key, row] pairs. */
  show(data) {
    this.data = data;
    const sorted = this.sorted(data);
    const present = new Set(sorted.map(([key]) => key));
    for (const [key, element] of this.rows) {
      if (!present.has(key)) {
        element.remove();
        this.rows.delete(key);
      }
    }
    const focused = document.activeElement;
    sorted.forEach(([key, row], index) => {
      let element = this.rows.get(key);
      if (!element) {
        element = this.newRow(key);
        this.rows.set(key, element);
      }
      this.fill(element, row);
      if (this.body.rows[index] !== element) this.body.insertBefore(element, this.body.rows[index] ?? null);
    });
    if (focused !== document.activeElement && this.body.contains(focused)) focused.focus({ preventScroll: true });
  }

  sorted(data) {
    const column = this.columns.find((each) => each.key === this.sort.key);
    const way = this.sort.descending ? -1 : 1;
    return [...data].sort(([key, row], [otherKey, other]) => {
      const a = column.value(row);
      const b = column.value(other);
      if (a === b) return compare(key, otherKey);
      if (a === null || a === undefined) return 1; // unknown values come last
      if (b === null || b === undefined) return -1;
      return way * compare(a, b);
    });
  }

  newRow(key) {
    const element = document.createElement("tr");
    for (const column of this.columns) {
      const first = column === this.columns[0];
      const cell = document.createElement(first ? "th" : "td");
      if (first) cell.scope = "row";
      if (column.numeric) cell.className = "numeric";
      if (column.wide) cell.className = "wide";
      if (column.press) {
        const button = document.createElement("button");
        button.type = "button";
        button.addEventListener("click", () => column.press(key));
        cell.append(button);
      }
      element.append(cell);
    }
    return element;
  }

  fill(element, row) {
    this.columns.forEach((column, index) => {
      const cell = element.cells[index];
      const target = column.press ? cell.firstChild : cell;
      const text = column.text(row);
      if (target.textContent !== text) target.textContent = text;
      const level = column.level?.(row) ?? "";
      if ((cell.dataset.level ?? "") !== level) cell.dataset.level = level;
    });
    const current = this.current !== undefined && element === this.rows.get(this.current);
    if (current) element.setAttribute("aria-current", "true");
    else element.removeAttribute("aria-current");
  }
}

function compare(a, b) {
  if (typeof a === "string") return a.localeCompare(b, "en", { numeric: true });
  return a < b ? -1 : 1;
}
