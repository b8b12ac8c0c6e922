// Live bytes of the step over time: stacked areas by kind, the end of forward, the peak, and when kept storages were freed.

const MARGIN = { top: 26, right: 12, bottom: 40, left: 68 };

/** The points' column of each kind; the document names them. */
function columnsOf(timeline) {
  return Object.fromEntries(KINDS.map((kind) => [kind, timeline.columns.indexOf(kind)]));
}

const KIND_WORDS = { parameters: "parameters and buffers", saved: "saved for backward", gradients: "gradients",
  temporaries: "temporaries", other: "inputs, outputs, other" };

class TimelineChart {
  constructor(timeline) {
    this.timeline = timeline;
    this.columns = columnsOf(timeline);
    this.index = 0;
    this.svg = svgElement("svg", { "aria-hidden": "true" });
    this.box = element("div", { class: "chart", role: "slider", tabindex: "0", "aria-label": "Moment of the step",
      "aria-valuemin": "0", "aria-valuemax": timeline.points.length - 1 }, this.svg);
    this.box.addEventListener("pointermove", (event) => this.onPointer(event));
    this.box.addEventListener("pointerleave", () => this.hideCursor());
    this.box.addEventListener("blur", () => this.hideCursor());
    this.box.addEventListener("keydown", (event) => this.onKey(event));
    // Once its place in the page has a size, which is when the script that makes the page has run.
    queueMicrotask(() => this.draw());
    new ResizeObserver(() => requestAnimationFrame(() => this.draw())).observe(this.box);
    this.setIndex(this.peakIndex());
  }

  total(point) {
    return KINDS.reduce((bytes, kind) => bytes + point[this.columns[kind]], 0);
  }

  peakIndex() {
    const totals = this.timeline.points.map((point) => this.total(point));
    return totals.indexOf(Math.max(...totals));
  }

  x(ns) {
    return MARGIN.left + (this.width - MARGIN.left - MARGIN.right) * fraction(ns, this.timeline.end_ns);
  }

  y(bytes) {
    return this.height - MARGIN.bottom - (this.height - MARGIN.top - MARGIN.bottom) * fraction(bytes, this.top);
  }

  draw() {
    this.width = this.box.clientWidth;
    this.height = this.box.clientHeight;
    const step = niceByteStep(this.timeline.peak.bytes / 4);
    this.top = Math.max(step, Math.ceil(this.timeline.peak.bytes / step) * step);
    this.cursor = this.line("cursor", 0, MARGIN.top, 0, this.height - MARGIN.bottom);
    this.svg.replaceChildren(...this.drawAxes(step), ...this.drawAreas(), ...this.drawReleases(), ...this.drawMarks(), this.cursor);
  }

  line(className, x1, y1, x2, y2) {
    return svgElement("line", { class: className, x1, y1, x2, y2 });
  }

  text(content, x, y, anchor = "middle", className = "") {
    return svgElement("text", { x, y, "text-anchor": anchor, class: className }, content);
  }

  drawAxes(step) {
    const parts = [];
    for (let bytes = 0; bytes <= this.top; bytes += step) {
      parts.push(this.line("axis", MARGIN.left, this.y(bytes), this.width - MARGIN.right, this.y(bytes)),
        this.text(formatBytes(bytes), MARGIN.left - 8, this.y(bytes) + 4, "end"));
    }
    const timeStep = niceStep(this.timeline.end_ns / Math.max(2, Math.floor(this.width / 160)));
    for (let ns = timeStep; ns <= this.timeline.end_ns; ns += timeStep) {
      parts.push(this.text(formatTime(ns), this.x(ns), this.height - 6, ns > 0.95 * this.timeline.end_ns ? "end" : "middle"));
    }
    return parts;
  }

  /** Steps, since a block is allocated at once: each point holds until the next. */
  drawAreas() {
    const { points } = this.timeline;
    const below = points.map(() => 0);
    return KINDS.map((kind) => {
      const above = points.map((point, i) => below[i] + point[this.columns[kind]]);
      const path = `M${this.edge(above)}L${this.edge(below, true)}Z`;
      above.forEach((bytes, i) => { below[i] = bytes; });
      const area = svgElement("path", { d: path, "data-kind": kind });
      area.style.fill = `var(--${kind})`;
      return area;
    });
  }

  edge(heights, backwards = false) {
    const corners = this.timeline.points.flatMap(([ns], i) => {
      const until = this.timeline.points[i + 1]?.[0] ?? this.timeline.end_ns;
      const y = this.y(heights[i]).toFixed(1);
      return [`${this.x(ns).toFixed(1)},${y}`, `${this.x(until).toFixed(1)},${y}`];
    });
    return (backwards ? corners.reverse() : corners).join("L");
  }

  drawReleases() {
    const y = this.height - MARGIN.bottom + 4;
    return this.timeline.releases.map(({ time_ns: ns }) => this.line("release", this.x(ns), y, this.x(ns), y + 8));
  }

  drawMarks() {
    const { forward_end_ns: boundary, end_ns: end, peak } = this.timeline;
    const x = this.x(boundary);
    const peakX = this.x(peak.time_ns);
    const anchor = peakX > this.width * 0.7 ? "end" : peakX < this.width * 0.3 ? "start" : "middle";
    return [
      this.line("boundary", x, MARGIN.top - 8, x, this.height - MARGIN.bottom),
      this.text("forward", x - 8, this.height - MARGIN.bottom - 8, "end", "strong"),
      ...(boundary < end ? [this.text("backward", x + 8, this.height - MARGIN.bottom - 8, "start", "strong")] : []),
      this.line("peak", peakX, MARGIN.top - 6, peakX, this.y(peak.bytes)),
      svgElement("circle", { cx: peakX, cy: this.y(peak.bytes), r: 4, fill: "var(--ink)" }),
      this.text(`peak ${formatBytes(peak.bytes)}`, peakX, MARGIN.top - 12, anchor, "strong"),
    ];
  }

  setIndex(index) {
    this.index = Math.max(0, Math.min(this.timeline.points.length - 1, index));
    this.box.setAttribute("aria-valuenow", this.index);
    this.box.setAttribute("aria-valuetext", this.facts().map(([label, amount]) => `${label} ${amount}`).join(", "));
  }

  facts() {
    const point = this.timeline.points[this.index];
    const [ns] = point;
    const held = this.timeline.releases.filter((release) => release.time_ns > ns).length;
    return [[ns < this.timeline.forward_end_ns ? "forward" : "backward", formatTime(ns)],
      ["live", formatBytes(this.total(point))],
      ...KINDS.map((kind) => [KIND_WORDS[kind], formatBytes(point[this.columns[kind]])]).reverse(),
      ["kept storages released later", held]];
  }

  showCursor() {
    const x = this.x(this.timeline.points[this.index][0]);
    this.cursor.setAttribute("x1", x);
    this.cursor.setAttribute("x2", x);
    this.cursor.style.visibility = "visible";
    const { left, top } = this.box.getBoundingClientRect();
    showTooltip([factList(this.facts())], left + x, top + MARGIN.top);
  }

  hideCursor() {
    this.cursor.style.visibility = "hidden";
    hideTooltip();
  }

  onPointer(event) {
    const inside = event.clientX - this.box.getBoundingClientRect().left - MARGIN.left;
    const ns = this.timeline.end_ns * inside / (this.width - MARGIN.left - MARGIN.right);
    const next = this.timeline.points.findIndex(([time]) => time > ns);
    this.setIndex(next < 0 ? this.timeline.points.length - 1 : next - 1);
    this.showCursor();
  }

  onKey(event) {
    const far = Math.max(1, Math.round(this.timeline.points.length / 20));
    const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageUp: far, PageDown: -far,
      Home: -Infinity, End: Infinity };
    if (!(event.key in steps)) return;
    event.preventDefault();
    this.setIndex(this.index + steps[event.key]);
    this.showCursor();
  }
}

/** 1, 2 or 5 times a power of ten: the smallest that is not below `least`. */
function niceStep(least) {
  const power = 10 ** Math.floor(Math.log10(Math.max(least, 1)));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= least);
}

/** The same in the unit in which the axis is written. */
function niceByteStep(least) {
  const unit = 1024 ** Math.max(0, Math.floor(Math.log(Math.max(least, 1)) / Math.log(1024)));
  return niceStep(least / unit) * unit;
}

function makePeak(timeline, storages) {
  const { peak } = timeline;
  const parts = KINDS.map((kind) => {
    const part = swatch(`var(--${kind})`, "i", "");
    part.style.flex = `${peak.live_bytes[kind]} 0 0`;
    return part;
  });
  const table = new DataTable({
    id: "peak-table", noun: "block", rows: peak.live, bytesOf: (block) => block.bytes, sort: "bytes",
    columns: [
      { key: "bytes", label: "Bytes", number: true, value: (block) => block.bytes, cell: (block) => bytesElement(block.bytes) },
      { key: "kind", label: "Kind", value: (block) => block.kind, cell: (block) => element("span", {}, swatch(`var(--${block.kind})`, "i", "dot"), block.kind) },
      { key: "op", label: "Allocated by", value: (block) => block.op || "(between operators)", mono: true },
      { key: "module", label: "Kept in", value: (block) => (block.storage === null ? "" : moduleText(storages.get(block.storage)?.module ?? null)), mono: true },
    ],
  });
  return [element("h3", {}, "Live at the peak"),
    element("p", {}, bytesElement(peak.bytes, "b"), ` in ${peak.phase}, after ${formatTime(peak.time_ns)}`, ...(peak.op ? [", while ", element("span", { class: "mono" }, peak.op), " ran"] : []), "."),
    element("div", { class: "stack", "aria-hidden": "true" }, ...parts),
    makeLegend(...KINDS.map((kind) => [swatch(`var(--${kind})`), `${KIND_WORDS[kind]} ${formatBytes(peak.live_bytes[kind])}`])),
    element("p", { class: "muted" }, "The largest blocks that the step had allocated and that were live then:"), table.element];
}

function makeTimelineSection(page) {
  const { timeline } = page.report;
  if (!timeline) {
    return makeSection("timeline", "When it is live", "This report has no timeline: no whole step (forward and backward) was recorded.");
  }
  const chart = new TimelineChart(timeline);
  const storages = new Map(page.report.storages.map((storage) => [storage.id, storage]));
  return makeSection("timeline", "When it is live",
    `Live bytes of one training step, as the ${timeline.backend} reported them. The ticks below the axis are releases of kept storages.`,
    chart.box, element("p", { class: "legend hint-keys" }, "Arrow keys move through the step."), ...makePeak(timeline, storages));
}
