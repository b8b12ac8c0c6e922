// The first thing read: how much is kept, how much of it twice, and what a rewrite changes.

function makeHeadline(report, after) {
  const { saved_bytes: saved, duplicate_bytes: twice } = report.totals;
  if (saved === 0) return element("p", { class: "headline" }, "Training this model keeps nothing for backward.");
  const line = element("p", { class: "headline" }, "Training this model keeps ", bytesElement(saved, "b"), " for backward");
  if (twice > 0) line.append(", ", bytesElement(twice, "b"), ` (${formatPercent(twice, saved)}) of it twice`);
  line.querySelector("b + b")?.classList.add("twice");
  line.append(". ", ...makePrediction(report, after));
  return line;
}

/** What a rewrite changes; of the executor for which it is planned, which need not be the one measured. */
function makePrediction({ prediction, executors }, after) {
  const before = prediction.saved_bytes_before;
  const left = after ? after.totals.saved_bytes : prediction.saved_bytes_after;
  if (left === before) return [after ? "The rewritten model keeps as much." : "invact has nothing to rewrite here."];
  const good = bytesElement(left, "b");
  good.className = "good";
  const change = ` (${formatDelta(left - before)}, ${formatPercent(Math.abs(left - before), before)} ${left < before ? "less" : "more"}).`;
  if (after) return ["Rewritten, it keeps ", good, change];
  return executors ? ["Run operator by operator it keeps ", bytesElement(before), ", and a rewrite would leave ", good, change]
    : ["A rewrite would leave ", good, change];
}

/** One quantity on the scale of `whole`: a line of the meters' grid. */
function makeMeter(key, label, bytes, whole, fill, why) {
  const bar = element("i");
  bar.style.width = `${100 * Math.min(1, fraction(bytes, whole))}%`;
  bar.style.setProperty("--fill", fill);
  return [
    element("dt", {}, label),
    element("dd", { class: "amount" }, element("span", { "data-total": key, "data-bytes": bytes, title: exactBytes(bytes) },
      formatBytes(bytes)), " ", element("small", {}, formatPercent(bytes, whole))),
    element("dd", { class: "bar-cell", "aria-hidden": "true" }, element("div", { class: "meter" }, bar)),
    element("dd", { class: "why" }, why),
  ];
}

function makeMeters(report, after) {
  const totals = report.totals;
  const saved = totals.saved_bytes;
  const rows = [
    makeMeter("saved_bytes", "Saved", saved, saved, "var(--saved)",
      `${plural(totals.saved_storages, "storage")}, held by ${plural(totals.saved_tensors, "saved tensor")}; parameters and buffers left out.`),
    makeMeter("duplicate_bytes", "Kept twice", totals.duplicate_bytes, saved, "var(--twice)",
      `${plural(report.duplicates.length, "storage")} whose content can be had from other saved storages.`),
    makeMeter("reclaimable_bytes", "A rewrite frees", totals.reclaimable_bytes, saved, "var(--good)",
      "What all accepted sites free together, predicted to the byte."),
  ];
  if (after) {
    rows.push(makeMeter("after_saved_bytes", "Saved, rewritten", after.totals.saved_bytes, saved, "var(--saved)",
      "Measured on the rewritten model with the same inputs."));
  }
  if (after && report.timeline && after.peak_bytes !== null) {
    const peak = report.timeline.peak.bytes;
    rows.push(makeMeter("peak_bytes", "Peak of a step", peak, peak, "var(--temporaries)", "Everything live at once, parameters and gradients among it."),
      makeMeter("after_peak_bytes", "Peak, rewritten", after.peak_bytes, peak, "var(--temporaries)", "Of the same step of the rewritten model."));
  }
  rows.push(makeMeter("floor_bytes", "Floor", totals.floor_bytes, saved, "var(--muted)",
    "What matrix products, convolutions, attention and the like keep by themselves: no rewrite of the rest goes below it."));
  if (totals.unattributed_bytes > 0) {
    rows.push(makeMeter("unattributed_bytes", "Unattributed", totals.unattributed_bytes, saved, "var(--muted)",
      "Saved where no module could be told."));
  }
  return element("dl", { class: "meters" }, ...rows.flat());
}

function makeVerification(verification) {
  const worst = verification.gradients[0];
  const parts = [
    element("span", { class: `chip ${verification.passed ? "good" : "bad"}` }, verification.passed ? "Verification passed" : "Verification failed"),
    ` ${plural(verification.outputs_compared, "output")} and ${plural(verification.gradients_compared, "gradient")} compared; gradient distance `,
    `${shortNumber(verification.gradient_distance)}, ${shortNumber(verification.gradient_tolerance)} allowed`,
  ];
  if (verification.reference_distance !== null) {
    parts.push(`; the original's own distance from float64 is ${shortNumber(verification.reference_distance)}`);
  }
  if (worst && worst.distance !== 0) parts.push("; the worst gradient is that of ", element("span", { class: "mono" }, worst.name));
  return [element("p", { class: "verification" }, ...parts, "."),
    ...verification.failures.map((failure) => element("p", { class: "callout bad" }, failure))];
}

/** Infinity and NaN are strings in the document. */
function shortNumber(value) {
  if (typeof value !== "number") return value;
  return value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential(1) : Number(value.toPrecision(2)).toString();
}

function makeTotalsSection(page, root) {
  const { report, after, verification } = page;
  const section = makeSection("totals", "Totals", "", makeHeadline(report, after), makeMeters(report, after),
    ...(verification ? [element("h3", {}, "Verification"), ...makeVerification(verification)] : []));
  section.querySelector("h2").classList.add("visually-hidden");
  const leftOut = page.left_out.find((entry) => entry.list === "storages");
  for (const fault of findSumFaults(report, root, leftOut)) section.append(element("p", { class: "callout bad", role: "alert" }, fault));
  for (const entry of page.left_out) {
    section.append(element("p", { class: "callout" }, `The ${plural(entry.rows, "smallest row")} of the ${entry.list} (${formatBytes(entry.bytes)} together) ` +
      "are left out of this page to keep it small; the totals count them, and --json writes them all."));
  }
  for (const note of report.notes) section.append(element("p", { class: "callout" }, note));
  return section;
}
