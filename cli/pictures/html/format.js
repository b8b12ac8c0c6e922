// Numbers as text, and the few lines that make elements. Text from the report enters the page as text nodes only.

const KINDS = ["parameters", "saved", "gradients", "temporaries", "other"];  // From the bottom of the stack up.

/** "416.4 MiB", as the command line writes it. */
function formatBytes(bytes) {
  if (Math.abs(bytes) < 1024) return `${bytes} B`;
  let value = bytes;
  for (const unit of ["KiB", "MiB", "GiB"]) {
    value /= 1024;
    if (Math.abs(value) < 1023.95) return `${value.toFixed(1)} ${unit}`;
  }
  return `${(value / 1024).toFixed(1)} TiB`;
}

const exactBytes = (bytes) => `${bytes.toLocaleString("en")} bytes`;

function formatDelta(bytes) {
  if (bytes === 0) return "\u00b10";
  return bytes > 0 ? `+${formatBytes(bytes)}` : formatBytes(bytes).replace("-", "\u2212");
}

const fraction = (part, whole) => (whole > 0 ? part / whole : 0);
const formatPercent = (part, whole) => `${(100 * fraction(part, whole)).toFixed(1)} %`;

function formatTime(ns) {
  if (ns < 1e6) return `${(ns / 1e3).toFixed(0)} \u00b5s`;
  return ns < 1e9 ? `${(ns / 1e6).toFixed(1)} ms` : `${(ns / 1e9).toFixed(2)} s`;
}

const plural = (count, word, many = `${word}s`) => `${count.toLocaleString("en")} ${count === 1 ? word : many}`;
const moduleText = (path) => (path === null ? "(unattributed)" : path === "" ? "(top)" : path);
const shortType = (type) => type.slice(type.lastIndexOf(".") + 1);
const tensorText = (tensor) => `${tensor.dtype} ${tensor.shape.length ? tensor.shape.join("\u00d7") : "scalar"}`;

/** From the package on, as short as it can be without being mistaken. */
function sourceText(source) {
  return source ? `${source.file.replace(/^.*(site|dist)-packages\//, "")}:${source.line}` : "";
}

/** A sum of bytes, the exact number in its title and in data-bytes. */
function bytesElement(bytes, tag = "span", text = formatBytes(bytes)) {
  return element(tag, { "data-bytes": bytes, title: exactBytes(bytes) }, text);
}

/** An HTML element; strings among the children become text. */
function element(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function svgElement(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** An element that shows a colour: `fill` is a CSS colour. */
function swatch(fill, tag = "span", className = "swatch") {
  const node = element(tag, { class: className, "aria-hidden": "true" });
  node.style.setProperty("--fill", fill);
  return node;
}

function makeButton(label, onClick, className = "quiet") {
  const button = element("button", { type: "button", class: className }, label);
  button.addEventListener("click", onClick);
  return button;
}

/** A section with its heading, and a link to it in the bar. */
function makeSection(id, title, lead, ...children) {
  document.getElementById("nav").append(element("a", { href: `#${id}` }, title));
  return element("section", { id, "aria-labelledby": `${id}-title` }, element("h2", { id: `${id}-title` }, title),
    ...(lead ? [element("p", { class: "lead" }, lead)] : []), ...children);
}

/** Shows `content` beside a point of the window, inside of it. */
function showTooltip(content, x, y) {
  const tooltip = document.getElementById("tooltip");
  tooltip.replaceChildren(...content);
  tooltip.hidden = false;
  const { width, height } = tooltip.getBoundingClientRect();
  tooltip.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - width - 4))}px`;
  tooltip.style.top = `${y + 18 + height > innerHeight ? Math.max(4, y - height - 12) : y + 18}px`;
}

function hideTooltip() {
  document.getElementById("tooltip").hidden = true;
}

/** Rows of [label, amount, share] for a tooltip. */
function factList(rows) {
  const cells = rows.flatMap(([label, amount, share = ""]) =>
    [element("dt", {}, label), element("dd", {}, amount), element("dd", {}, share)]);
  return element("dl", {}, ...cells);
}
