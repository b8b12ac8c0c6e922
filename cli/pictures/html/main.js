// Reads the document and puts the page together.

const THEMES = ["auto", "light", "dark"];

/** Storage may be forbidden for a page from a file; the choice then lasts as long as the page. */
function storedTheme(value) {
  try {
    if (value) localStorage.setItem("invact-theme", value);
    return localStorage.getItem("invact-theme") ?? "auto";
  } catch {
    return value ?? "auto";
  }
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  document.getElementById("theme").textContent = `Theme: ${theme}`;
}

function startTheme() {
  const button = document.getElementById("theme");
  setTheme(THEMES.includes(storedTheme()) ? storedTheme() : "auto");
  button.addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length];
    storedTheme(next);
    setTheme(next);
  });
}

function drawHead({ report }) {
  const { model, run, inputs } = report;
  const name = model.path.slice(model.path.lastIndexOf("/") + 1);
  document.title = `${name} - invact`;
  document.getElementById("model").textContent = name;
  document.getElementById("model").title = model.path;
  const parts = [`one forward in ${run.mode} mode on ${run.device}`, `executor ${run.executor}`, ...(run.autocast ? [`autocast ${run.autocast}`] : []), `seed ${run.seed}`,
    ...inputs.map((input) => `${input.name}: ${tensorText(input)}`),
    `parameters ${formatBytes(model.parameter_bytes)}`, `buffers ${formatBytes(model.buffer_bytes)}`];
  document.getElementById("run").textContent = parts.join(" \u00b7 ");
}

function saveDocument() {
  const link = element("a", { download: "invact-report.json",
    href: URL.createObjectURL(new Blob([document.getElementById("data").textContent], { type: "application/json" })) });
  link.click();
  URL.revokeObjectURL(link.href);
}

function drawFoot({ report, output }) {
  const { tool, environment, model } = report;
  document.getElementById("about").append(
    element("p", {}, `${tool.name} ${tool.version}, LibTorch ${environment.libtorch}, document ${report.schema_version}. `, makeButton("Save the JSON", saveDocument)),
    element("p", { class: "mono" }, `${model.path}  sha256 ${model.sha256}`),
    ...(output ? [element("p", { class: "mono" }, `${output.path}  sha256 ${output.sha256}`)] : []));
}

function start() {
  startTheme();
  const page = JSON.parse(document.getElementById("data").textContent);
  const root = buildModuleTree(page.report);
  drawHead(page);
  document.querySelector("main").append(makeTotalsSection(page, root), makeWhereSection(page, root), makeTimelineSection(page),
    ...makeExecutorsSection(page), makeTwiceSection(page), makeSitesSection(page), makeModulesSection(page), makeStoragesSection(page));
  drawFoot(page);
}

start();
