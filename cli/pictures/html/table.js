// A table with search, sort and a sum of what is shown. Rows beyond the first few are shown on request.

const FIRST_ROWS = 15;

class DataTable {
  /**
   * columns: {key, label, value(row), cell(row)?, number?, mono?}; sort: the key to begin with, numbers descending.
   * Search looks into every column that is no number.
   */
  constructor({ id, noun, rows, columns, bytesOf, sort }) {
    Object.assign(this, { id, noun, columns, bytesOf, limit: FIRST_ROWS, query: "" });
    const words = columns.filter((column) => !column.number);
    this.rows = rows.map((row) => ({ row, text: words.map((column) => column.value(row)).join(" ").toLowerCase() }));
    this.body = element("tbody", { role: "rowgroup" });
    this.status = element("output", { "aria-live": "polite", for: `${id}-search` });
    this.more = element("div", { class: "more" });
    this.table = element("table", { id, role: "table" },
      element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...columns.map((column) => this.makeHead(column)))), this.body);
    this.element = element("div", {}, this.makeTools(), this.table, this.more);
    this.sortBy(columns.find((column) => column.key === sort));
  }

  makeTools() {
    this.input = element("input", { type: "search", id: `${this.id}-search`, placeholder: "Search", autocomplete: "off", spellcheck: "false" });
    this.input.addEventListener("input", () => this.search(this.input.value));
    return element("div", { class: "tools" },
      element("label", { class: "visually-hidden", for: this.input.id }, `Search the ${this.noun}s`), this.input, this.status);
  }

  makeHead(column) {
    const head = element("th", { role: "columnheader", scope: "col", class: column.number ? "number" : "", "data-key": column.key },
      makeButton(column.label, () => this.sortBy(column), ""));
    return head;
  }

  search(query) {
    this.query = query;
    this.draw();
  }

  /** The same column once more turns the order round. */
  sortBy(column) {
    this.descending = this.sorted === column ? !this.descending : Boolean(column.number);
    this.sorted = column;
    const sign = this.descending ? -1 : 1;
    const compare = column.number ? (a, b) => a - b : (a, b) => a.localeCompare(b, "en", { numeric: true });
    this.rows.sort((a, b) => sign * compare(column.value(a.row), column.value(b.row)));
    for (const head of this.table.querySelectorAll("th")) {
      if (head.dataset.key === column.key) head.setAttribute("aria-sort", this.descending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
    this.draw();
  }

  /** Every word of the search stands somewhere in the row. */
  matches() {
    const words = this.query.toLowerCase().split(/\s+/).filter(Boolean);
    return this.rows.filter(({ text }) => words.every((word) => text.includes(word))).map(({ row }) => row);
  }

  draw() {
    const found = this.matches();
    const shown = found.slice(0, this.limit);
    this.body.replaceChildren(...shown.map((row) => element("tr", { role: "row" }, ...this.columns.map((column) => this.makeCell(column, row)))));
    const bytes = found.reduce((sum, row) => sum + this.bytesOf(row), 0);
    const count = found.length === this.rows.length ? plural(found.length, this.noun) : `${found.length} of ${plural(this.rows.length, this.noun)}`;
    this.status.replaceChildren(`${count}, `, bytesElement(bytes));
    this.more.replaceChildren(...this.moreButtons(found.length));
  }

  makeCell(column, row) {
    const content = column.cell ? column.cell(row) : element("span", { class: column.mono ? "mono" : "" }, String(column.value(row)));
    return element("td", { role: "cell", class: column.number ? "number" : "", "data-label": column.label }, content);
  }

  moreButtons(found) {
    const hidden = found - this.limit;
    const show = (limit) => () => { this.limit = limit; this.draw(); };
    if (hidden > 0) {
      return [makeButton(`Show ${Math.min(hidden, 100)} more`, show(this.limit + 100)), ...(hidden > 100 ? [makeButton(`Show all ${found}`, show(Infinity))] : [])];
    }
    return this.limit > FIRST_ROWS && found > FIRST_ROWS ? [makeButton("Show fewer", show(FIRST_ROWS))] : [];
  }
}
