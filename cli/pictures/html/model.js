// From the document to what is drawn: the module tree with its sums, and what is kept twice, by storage.

const UNATTRIBUTED = "(unattributed)";

/** Module path to bytes of its own that are kept twice; null counts as a path. */
function duplicateBytesByModule(report) {
  const homes = new Map(report.storages.map((storage) => [storage.id, storage.module]));
  const bytes = new Map();
  for (const duplicate of report.duplicates) {
    const module = homes.has(duplicate.storage) ? homes.get(duplicate.storage) : duplicate.module;
    bytes.set(module, (bytes.get(module) ?? 0) + duplicate.bytes);
  }
  return bytes;
}

function makeNode(path, name, parent) {
  return { path, name, parent, type: "", own: 0, total: 0, ownTwice: 0, twice: 0, children: [] };
}

/** The node of `path`, made with its ancestors where the report lists none of them. */
function findOrMakeNode(root, nodes, path) {
  if (!nodes.has(path)) {
    const dot = path.lastIndexOf(".");
    const parent = dot < 0 ? root : findOrMakeNode(root, nodes, path.slice(0, dot));
    const node = makeNode(path, path.slice(dot + 1), parent);
    parent.children.push(node);
    nodes.set(path, node);
  }
  return nodes.get(path);
}

/** The tree of modules that keep something; its root's total is the sum of all rows and of what has no module. */
function buildModuleTree(report) {
  const root = makeNode("", "(top)", null);
  const nodes = new Map([["", root]]);
  const twice = duplicateBytesByModule(report);
  for (const row of report.modules) {
    const node = findOrMakeNode(root, nodes, row.path);
    node.type = shortType(row.type);
    node.own = row.saved_bytes;
    node.ownTwice = twice.get(row.path) ?? 0;
  }
  if (report.totals.unattributed_bytes > 0) {
    const node = makeNode(UNATTRIBUTED, UNATTRIBUTED, root);
    node.own = report.totals.unattributed_bytes;
    node.ownTwice = twice.get(null) ?? 0;
    root.children.push(node);
  }
  sumUp(root);
  return root;
}

function sumUp(node) {
  node.children.forEach(sumUp);
  node.children.sort((a, b) => b.total - a.total || (a.path < b.path ? -1 : 1));
  const sum = (key, own) => node.children.reduce((bytes, child) => bytes + child[key], own);
  node.total = sum("total", node.own);
  node.twice = sum("twice", node.ownTwice);
  if (node.parent && node.own === 0 && node.children.length === 1) joinWithOnlyChild(node);
}

/** "encoder" and its only child "layers" are one step for the reader. */
function joinWithOnlyChild(node) {
  const [child] = node.children;
  Object.assign(node, { path: child.path, name: `${node.name}.${child.name}`, type: child.type, own: child.own,
    ownTwice: child.ownTwice, children: child.children });
  for (const grandchild of node.children) grandchild.parent = node;
}

/** Bytes and storages by the operator that saved first, the largest first; what the page lacks as a row of its own. */
function operatorRows(report, leftOut) {
  const rows = new Map();
  for (const { op, bytes } of report.storages) {
    const row = rows.get(op) ?? { op, bytes: 0, count: 0 };
    row.bytes += bytes;
    row.count += 1;
    rows.set(op, row);
  }
  if (leftOut) rows.set("", { op: "(left out of this page)", bytes: leftOut.bytes, count: leftOut.rows });
  return [...rows.values()].sort((a, b) => b.bytes - a.bytes || (a.op < b.op ? -1 : 1));
}

/** What does not add up, a sentence each. */
function findSumFaults(report, root, leftOut) {
  const saved = report.totals.saved_bytes;
  const sums = {
    modules: root.total,
    storages: report.storages.reduce((bytes, storage) => bytes + storage.bytes, leftOut?.bytes ?? 0),
  };
  return Object.entries(sums).filter(([, bytes]) => bytes !== saved).map(([what, bytes]) =>
    `The ${what} sum to ${exactBytes(bytes)}, but the report's total is ${exactBytes(saved)}: this report is not sound.`);
}
