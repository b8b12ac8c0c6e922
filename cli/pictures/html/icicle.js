// The module tree as an icicle: a module's width is what it and its children keep, its colour how much of that twice.

const ROW_HEIGHT = 30;
const MAX_ROWS = 12;
const MIN_WIDTH = 3;  // In pixels; what is narrower is drawn as one block with its narrow neighbours.

class Icicle {
  constructor(root, onZoom) {
    this.root = root;
    this.onZoom = onZoom;
    this.crumbs = element("nav", { class: "crumbs", "aria-label": "Module path" });
    this.canvas = element("div", { class: "icicle", role: "tree", "aria-label": "Modules by saved bytes" });
    this.canvas.addEventListener("keydown", (event) => this.onKey(event));
    this.canvas.addEventListener("pointerleave", hideTooltip);
    // Once its place in the page has a size, which is when the script that makes the page has run.
    queueMicrotask(() => this.resize());
    new ResizeObserver(() => requestAnimationFrame(() => this.resize())).observe(this.canvas);
    this.zoom(root);
  }

  resize() {
    if (this.canvas.clientWidth === this.width) return;
    const active = this.nodeOf(document.activeElement);
    this.draw();
    if (active) this.blocks.get(active)?.focus();
  }

  zoom(node, focused = null) {
    this.zoomed = node;
    this.draw();
    this.drawCrumbs();
    this.onZoom(node);
    if (focused) this.focus(this.blocks.has(focused) ? focused : node);
  }

  draw() {
    this.width = this.canvas.clientWidth;
    this.blocks = new Map();
    this.rows = 0;
    this.canvas.replaceChildren();
    this.place(this.zoomed, 0, 0, 1, 1);
    this.canvas.style.height = `${this.rows * ROW_HEIGHT}px`;
    this.blocks.get(this.zoomed).tabIndex = 0;
  }

  /** Draws `node` from `left` on, `level` rows down; both widths are fractions of what is shown. */
  place(node, level, left, position, siblings) {
    const share = this.zoomed.total > 0 ? node.total / this.zoomed.total : 1;
    this.blocks.set(node, this.addBlock(node, level, left, share, position, siblings));
    if (level + 1 >= MAX_ROWS || node.children.length === 0) return;
    const wide = node.children.filter((child) => this.pixels(child.total) >= MIN_WIDTH);
    let x = left;
    wide.forEach((child, i) => {
      this.place(child, level + 1, x, i + 1, wide.length);
      x += fraction(child.total, this.zoomed.total);
    });
    const narrow = node.children.slice(wide.length);
    const rest = narrow.reduce((bytes, child) => bytes + child.total, 0);
    x = this.addFiller("rest", level + 1, x, rest, `${plural(narrow.length, "smaller module")}: zoom in or see the table of modules`);
    this.addFiller("own", level + 1, x, node.own, `own bytes of ${moduleText(node.path)}, without its children`);
  }

  pixels(bytes) {
    return this.width * fraction(bytes, this.zoomed.total);
  }

  addBlock(node, level, left, share, position, siblings) {
    const block = element("div", { class: "node", role: "treeitem", tabindex: "-1", "aria-level": level + 1,
      "aria-posinset": position, "aria-setsize": siblings, "aria-label": this.label(node), "data-path": node.path },
      share * this.width > 26 ? this.caption(node, share) : "");
    if (node.children.length > 0) block.setAttribute("aria-expanded", level + 1 < MAX_ROWS);
    block.classList.toggle("thin", share * this.width <= 26);
    block.style.setProperty("--share", fraction(node.twice, node.total));
    this.setPlace(block, level, left, share);
    block.addEventListener("click", () => this.activate(node));
    block.addEventListener("pointermove", (event) => showTooltip(this.describe(node), event.clientX, event.clientY));
    block.addEventListener("focus", () => this.showBeside(block, node));
    block.addEventListener("blur", hideTooltip);
    this.rows = Math.max(this.rows, level + 1);
    return block;
  }

  addFiller(kind, level, left, bytes, title) {
    const share = fraction(bytes, this.zoomed.total);
    if (this.pixels(bytes) >= 1) {
      const block = element("div", { class: `node thin ${kind}`, "aria-hidden": "true" });
      this.setPlace(block, level, left, share);
      block.addEventListener("pointermove", (event) =>
        showTooltip([element("b", {}, title), factList([["bytes", formatBytes(bytes), formatPercent(bytes, this.root.total)]])], event.clientX, event.clientY));
      this.rows = Math.max(this.rows, level + 1);
    }
    return left + share;
  }

  setPlace(block, level, left, share) {
    Object.assign(block.style, { left: `${100 * left}%`, width: `${100 * share}%`, top: `${level * ROW_HEIGHT}px` });
    this.canvas.append(block);
  }

  caption(node, share) {
    const pixels = share * this.width;
    const name = node.type && pixels > 80 ? `${node.name} ${node.type}` : node.name;
    return pixels > 190 ? `${name}  ${formatBytes(node.total)}` : name;
  }

  label(node) {
    return `${moduleText(node.path)}, ${formatBytes(node.total)}, ${formatPercent(node.total, this.root.total)}, ` +
      `${formatPercent(node.twice, node.total)} of it twice`;
  }

  describe(node) {
    const all = this.root.total;
    return [element("b", {}, moduleText(node.path)), ...(node.type ? [" ", element("span", { class: "muted" }, node.type)] : []),
      factList([["with its children", formatBytes(node.total), formatPercent(node.total, all)],
        ["its own", formatBytes(node.own), formatPercent(node.own, all)],
        ["kept twice", formatBytes(node.twice), formatPercent(node.twice, all)]])];
  }

  showBeside(block, node) {
    if (!block.matches(":focus-visible")) return;
    const { left, bottom } = block.getBoundingClientRect();
    showTooltip(this.describe(node), Math.max(left, 0), bottom - 14);
  }

  drawCrumbs() {
    const path = [];
    for (let node = this.zoomed; node; node = node.parent) path.unshift(node);
    this.crumbs.replaceChildren(...path.flatMap((node, i) => {
      const button = makeButton(node.name, () => this.zoom(node, node), "");
      if (node === this.zoomed) button.setAttribute("aria-current", "true");
      return i === 0 ? [button] : [element("span", { class: "muted", "aria-hidden": "true" }, "\u203a"), button];
    }));
  }

  /** A click on what is zoomed already leads back out. */
  activate(node) {
    hideTooltip();
    if (node !== this.zoomed) this.zoom(node, node);
    else if (node.parent) this.zoom(node.parent, node);
  }

  focus(node) {
    for (const block of this.blocks.values()) block.tabIndex = -1;
    const block = this.blocks.get(node);
    block.tabIndex = 0;
    block.focus();
  }

  nodeOf(block) {
    return [...this.blocks].find(([, candidate]) => candidate === block)?.[0];
  }

  /** Down to the largest child, up to the parent, sideways along the row. */
  neighbour(node, key) {
    if (key === "ArrowDown") return node.children.find((child) => this.blocks.has(child));
    if (key === "ArrowUp") return node === this.zoomed ? undefined : node.parent;
    if (key === "Home") return this.zoomed;
    const level = this.blocks.get(node).getAttribute("aria-level");
    const row = [...this.blocks].filter(([, block]) => block.getAttribute("aria-level") === level).map(([other]) => other);
    return row[row.indexOf(node) + (key === "ArrowRight" ? 1 : -1)];
  }

  onKey(event) {
    const node = this.nodeOf(event.target);
    if (!node) return;
    const { key } = event;
    if (key === "Enter" || key === " ") this.activate(node);
    else if (key === "Escape" || key === "Backspace") this.zoom(this.zoomed.parent ?? this.root, node);
    else if (key === "Home" || key.startsWith("Arrow")) {
      const next = this.neighbour(node, key);
      if (next) this.focus(next);
    } else return;
    event.preventDefault();
  }
}

function makeLegend(...entries) {
  return element("p", { class: "legend" }, ...entries.map(([mark, text]) => element("span", {}, mark, text)));
}

function makeWhereSection(page, root) {
  const rows = operatorRows(page.report, page.left_out.find((entry) => entry.list === "storages"));
  const status = element("p", { class: "muted", "aria-live": "polite" });
  const icicle = new Icicle(root, (node) => status.replaceChildren(
    `${moduleText(node.path)}${node.type ? ` (${node.type})` : ""}: `, bytesElement(node.total), `, ${formatPercent(node.total, root.total)} of all; its own `, bytesElement(node.own), "."));
  const bars = rows.slice(0, 12).flatMap((row) => {
    const bar = element("i");
    bar.style.width = `${100 * fraction(row.bytes, rows[0].bytes)}%`;
    return [element("span", { class: "mono" }, row.op), element("div", { class: "meter", "aria-hidden": "true" }, bar),
      bytesElement(row.bytes)];
  });
  const others = rows.slice(12);
  const otherBytes = others.reduce((bytes, row) => bytes + row.bytes, 0);
  if (others.length > 0) bars.push(element("span", { class: "muted" }, plural(others.length, "other operator")), element("span"), bytesElement(otherBytes));
  return makeSection("where", "Where it is kept", "",
    element("div", { class: "where" },
      element("div", {}, icicle.crumbs, icicle.canvas, status,
        makeLegend([swatch("", "span", "swatch ramp"), "kept once \u2192 kept twice"],
          [swatch("", "span", "swatch hatched"), "a module's own bytes"]),
        element("p", { class: "legend hint-keys" }, "Click or Enter zooms in, Escape out; arrow keys walk the tree.")),
      element("div", {}, element("h3", {}, "By operator (the first that saved)"), element("div", { class: "bars" }, ...bars))));
}
