// The sections that are tables: what is kept twice, sites, modules, storages.

const byteColumn = (key, label, value) => ({ key, label, number: true, value, cell: (row) => bytesElement(value(row)) });
const moduleColumn = { key: "module", label: "Module", mono: true, value: (row) => moduleText(row.module) };
const opColumn = { key: "op", label: "Operator", mono: true, value: (row) => row.op };
const sourceColumn = { key: "source", label: "Source", mono: true, value: (row) => sourceText(row.source),
  cell: (row) => element("span", { class: "mono", title: row.source ? `${row.source.file}:${row.source.line}` : "" }, sourceText(row.source)) };

function shareColumn(value, whole) {
  return { key: "share", label: "Share", number: true, value, cell: (row) => element("span", {}, formatPercent(value(row), whole)) };
}

/** Buttons that search a table for a word: the kinds that occur, with their bytes. */
function makeFilters(table, groups) {
  const buttons = groups.map(([word, label]) => makeButton(label, () => {
    const query = table.query === word ? "" : word;
    table.input.value = query;
    table.search(query);
  }));
  const mark = () => buttons.forEach((button, i) => button.setAttribute("aria-pressed", table.query === groups[i][0]));
  for (const event of ["click", "input"]) table.element.addEventListener(event, mark);
  mark();
  table.element.querySelector(".tools").append(...buttons);
}

function sumBy(rows, key, bytes) {
  const sums = new Map();
  for (const row of rows) sums.set(key(row), (sums.get(key(row)) ?? 0) + bytes(row));
  return [...sums].sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
}

/** What only one of the two executors keeps; nothing where one was measured. */
function makeExecutorsSection({ report: { executors } }) {
  if (!executors) return [];
  const rows = [...executors.only_eager.map((row) => ({ ...row, executor: "eager" })),
    ...executors.only_default.map((row) => ({ ...row, executor: "default" }))];
  const table = new DataTable({
    id: "executors-table", noun: "group", rows, bytesOf: (row) => row.bytes, sort: "bytes",
    columns: [byteColumn("bytes", "Bytes", (row) => row.bytes),
      { key: "executor", label: "Only with", value: (row) => row.executor, cell: (row) => element("span", { class: "chip" }, row.executor) },
      { key: "count", label: "Storages", number: true, value: (row) => row.count },
      { key: "tensor", label: "Tensor", value: (row) => tensorText(row) }, opColumn],
  });
  const lead = `Running operator by operator (eager) keeps ${formatBytes(executors.eager.saved_bytes)}, TorchScript's profiling executor ` +
    `(default) ${formatBytes(executors.default.saved_bytes)} after warm-up. Storages that only one of them keeps, those alike together:`;
  return [makeSection("executors", "Executors", lead, table.element)];
}

function makeTwiceSection({ report }) {
  if (report.duplicates.length === 0) return makeSection("twice", "Kept twice", "Nothing: no saved storage can be had from others.");
  const table = new DataTable({
    id: "twice-table", noun: "storage", rows: report.duplicates, bytesOf: (row) => row.bytes, sort: "bytes",
    columns: [byteColumn("bytes", "Bytes", (row) => row.bytes), shareColumn((row) => row.bytes, report.totals.saved_bytes),
      { key: "kind", label: "Kind", value: (row) => row.kind, cell: (row) => element("span", { class: "chip" }, row.kind) },
      opColumn, moduleColumn, sourceColumn, { key: "advice", label: "What to do", value: (row) => row.advice }],
  });
  const kinds = sumBy(report.duplicates, (row) => row.kind, (row) => row.bytes);
  if (kinds.length > 1) makeFilters(table, kinds.map(([kind, bytes]) => [kind, `${kind} ${formatBytes(bytes)}`]));
  return makeSection("twice", "Kept twice", "Saved storages whose content can be had from other saved storages.", table.element);
}

function makeSitesSection({ report }) {
  if (report.sites.length === 0) return makeSection("sites", "Sites", "None: the model has no place that invact knows to replace.");
  const accepted = report.sites.filter((site) => site.decision === "accepted").length;
  const table = new DataTable({
    id: "sites-table", noun: "site", rows: report.sites, bytesOf: (site) => site.saved_bytes_delta, sort: "decision",
    columns: [
      { key: "decision", label: "Decision", value: (site) => site.decision,
        cell: (site) => element("span", { class: `chip ${site.decision === "accepted" ? "good" : "bad"}` }, site.decision) },
      { key: "delta", label: "Change", number: true, value: (site) => site.saved_bytes_delta,
        cell: (site) => bytesElement(site.saved_bytes_delta, "span", formatDelta(site.saved_bytes_delta)) },
      { key: "op", label: "Operator", mono: true, value: (site) => (site.replacement ? `${site.op} \u2192 ${site.replacement}` : site.op) },
      moduleColumn, sourceColumn, { key: "strategy", label: "Strategy", value: (site) => site.strategy },
      { key: "reason", label: "Reason", value: (site) => `${site.reason} [${site.reason_code}]`,
        cell: (site) => element("span", {}, site.reason, " ", element("span", { class: "mono muted" }, site.reason_code)) }],
  });
  const reasons = sumBy(report.sites, (site) => site.reason_code, (site) => site.saved_bytes_delta);
  if (reasons.length > 1) {
    makeFilters(table, reasons.map(([code]) => [code, `${code} ${report.sites.filter((site) => site.reason_code === code).length}`]));
  }
  return makeSection("sites", "Sites", `Places where a known pattern stands: ${accepted} of ${report.sites.length} accepted. ` +
    "What single sites change need not add up to what all change together.", table.element);
}

/** Own bytes by path, of two reports. */
function moduleRows(report, after) {
  const rows = new Map(report.modules.map((row) => [row.path, { path: row.path, type: shortType(row.type), own: row.saved_bytes, after: 0 }]));
  for (const row of after?.modules ?? []) {
    if (!rows.has(row.path)) rows.set(row.path, { path: row.path, type: shortType(row.type), own: 0, after: 0 });
    rows.get(row.path).after = row.saved_bytes;
  }
  return [...rows.values()];
}

function makeModulesSection({ report, after }) {
  const columns = [byteColumn("own", after ? "Before" : "Own bytes", (row) => row.own)];
  if (after) {
    columns.push(byteColumn("after", "After", (row) => row.after),
      { key: "change", label: "Change", number: true, value: (row) => row.after - row.own,
        cell: (row) => bytesElement(row.after - row.own, "span", formatDelta(row.after - row.own)) });
  } else {
    columns.push(shareColumn((row) => row.own, report.totals.saved_bytes));
  }
  columns.push({ key: "path", label: "Module", mono: true, value: (row) => moduleText(row.path) }, { key: "type", label: "Class", value: (row) => row.type });
  const table = new DataTable({ id: "modules-table", noun: "module", rows: moduleRows(report, after), bytesOf: (row) => row.own, sort: "own", columns });
  return makeSection("modules", after ? "Modules, before and after" : "Modules", "Own bytes, without those of children; modules that keep nothing are not listed.", table.element);
}

function makeStoragesSection({ report }) {
  const released = new Map((report.timeline?.releases ?? []).map((release) => [release.storage, release.time_ns]));
  const twice = new Set(report.duplicates.map((duplicate) => duplicate.storage));
  const marks = (row) => [row.in_floor ? "floor" : "", twice.has(row.id) ? "twice" : ""].filter(Boolean).join(" ");
  const columns = [byteColumn("bytes", "Bytes", (row) => row.bytes),
    { key: "tensor", label: "Tensor", value: (row) => tensorText(row) }, opColumn, moduleColumn, sourceColumn,
    { key: "savers", label: "Savers", number: true, value: (row) => row.savers.length,
      cell: (row) => element("span", { title: row.savers.map((saver) => `${saver.op} in ${moduleText(saver.module)}`).join("\n") }, String(row.savers.length)) },
    { key: "marks", label: "Marks", value: marks, cell: (row) => element("span", {}, ...marks(row).split(" ").filter(Boolean).flatMap((mark) => [element("span", { class: "chip" }, mark), " "])) }];
  if (released.size > 0) {
    columns.push({ key: "released", label: "Released", number: true, value: (row) => released.get(row.id) ?? Number.MAX_SAFE_INTEGER,
      cell: (row) => element("span", {}, released.has(row.id) ? formatTime(released.get(row.id)) : "") });
  }
  const table = new DataTable({ id: "storages-table", noun: "storage", rows: report.storages, bytesOf: (row) => row.bytes, sort: "bytes", columns });
  return makeSection("storages", "Storages", "Every storage that autograd keeps, counted once; module, operator and source are its first saver's.", table.element);
}
