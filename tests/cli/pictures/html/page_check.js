// Runs within the page under test: reads it as a user would, uses its tables and its keys, and leaves what it saw as JSON in
// the DOM, where page_test.py judges it.

const wait = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });
const texts = (selector) => [...document.querySelectorAll(selector)].map((node) => node.textContent);
const bytesOf = (node) => Number(node.dataset.bytes);

function press(key) {
  document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
}

function typeInto(input, text) {
  input.value = text;
  input.dispatchEvent(new Event("input", { bubbles: true }));
}

function readTable(id) {
  const table = document.getElementById(id);
  if (!table) return null;
  const status = document.querySelector(`output[for="${id}-search"]`);
  return { status: status.textContent, bytes: bytesOf(status.querySelector("[data-bytes]")), rows: table.tBodies[0].rows.length };
}

/** Shows all rows, sorts by bytes both ways, and reads the first column each time. */
function readSorted(id) {
  const table = document.getElementById(id);
  if (!table) return null;
  const buttons = () => [...table.parentElement.querySelectorAll(".more button")];
  while (buttons().some((button) => button.textContent.startsWith("Show all") || button.textContent.endsWith("more"))) buttons().at(-1).click();
  const column = () => [...table.tBodies[0].rows].map((row) => bytesOf(row.querySelector("[data-bytes]")));
  const head = table.querySelector("th button");
  const before = { order: table.querySelector("th").getAttribute("aria-sort"), bytes: column() };
  head.click();
  const after = { order: table.querySelector("th").getAttribute("aria-sort"), bytes: column() };
  return { before, after };
}

function searchIn(id, query) {
  const input = document.getElementById(`${id}-search`);
  if (!input) return null;
  typeInto(input, query);
  const found = { ...readTable(id), modules: texts(`#${id} td[data-label="Operator"]`) };
  typeInto(input, "");
  return found;
}

async function walkIcicle() {
  const active = () => document.activeElement.dataset?.path;
  const crumbs = () => texts(".crumbs button");
  const tree = document.querySelector('[role="tree"]');
  const root = tree.querySelector('[tabindex="0"]');
  root.focus();
  const seen = { blocks: tree.querySelectorAll('[role="treeitem"]').length, root: root.getAttribute("aria-label"), down: [] };
  for (let i = 0; i < 3; i += 1) {
    press("ArrowDown");
    seen.down.push(active());
  }
  press("ArrowRight");
  seen.right = active();
  press("ArrowUp");
  seen.up = active();
  press("Enter");
  await wait(50);
  seen.zoomed = { active: active(), crumbs: crumbs() };
  press("Escape");
  press("Escape");
  press("Escape");
  seen.out = crumbs();
  return seen;
}

function walkTimeline() {
  const chart = document.querySelector('[role="slider"]');
  if (!chart) return null;
  chart.focus();
  const seen = { areas: chart.querySelectorAll("path[data-kind]").length, releases: chart.querySelectorAll(".release").length,
    labels: [...chart.querySelectorAll("text.strong")].map((node) => node.textContent), peak: chart.getAttribute("aria-valuetext") };
  press("Home");
  seen.home = chart.getAttribute("aria-valuenow");
  press("ArrowRight");
  seen.next = chart.getAttribute("aria-valuenow");
  press("End");
  seen.end = chart.getAttribute("aria-valuenow") === chart.getAttribute("aria-valuemax");
  seen.tooltip = !document.getElementById("tooltip").hidden;
  return seen;
}

function toggleTheme() {
  const paper = () => getComputedStyle(document.body).backgroundColor;
  const button = document.getElementById("theme");
  return [0, 1, 2, 3].map(() => {
    const seen = [document.documentElement.dataset.theme, paper()];
    button.click();
    return seen;
  });
}

const TABLES = ["executors-table", "twice-table", "sites-table", "modules-table", "storages-table"];
await wait(0);
const result = {
  title: document.title,
  totals: Object.fromEntries([...document.querySelectorAll("[data-total]")].map((node) => [node.dataset.total, bytesOf(node)])),
  headline: document.querySelector(".headline").textContent,
  callouts: texts(".callout"),
  alerts: texts('[role="alert"]'),
  tables: Object.fromEntries(TABLES.map((id) => [id, readTable(id)])),
  largestModule: document.querySelector("#modules-table td:nth-child(3) span")?.textContent ?? null,
  search: searchIn("twice-table", "GELU act"),
  sorted: readSorted("twice-table"),
  icicle: await walkIcicle(),
  timeline: walkTimeline(),
  themes: toggleTheme(),
  intruders: document.querySelectorAll("intruder").length,
  wider: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  unlabelled: [...document.querySelectorAll("button, input, [tabindex='0']")].filter((node) =>
    !node.textContent.trim() && !node.getAttribute("aria-label") && !(node.id && document.querySelector(`label[for="${node.id}"]`))).length,
  errors: window.invactErrors,
};
document.body.append(Object.assign(document.createElement("pre"), { id: "invact-check", textContent: JSON.stringify(result) }));
