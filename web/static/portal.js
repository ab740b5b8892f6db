// The live parts of the public portal. Everything is checked here: with package
// verify as WebAssembly where it can be loaded, and with the small verifier
// beside it. Nothing that is typed or pasted leaves the page; what is fetched are
// files of this portal, files of the public ledger, and the public feed of
// openings. Without this script pages say which command checks the same.
import * as hand from "./verify.js";

const data = document.getElementById("portal-data");
const D = data ? JSON.parse(data.textContent) : null;
const base = new URL("../", location.href);
const $ = (id) => document.getElementById(id);

const say = (key, values = {}) => (D.say[key] ?? key).replace(/\{(\w+)\}/g, (all, k) => (k in values ? show(values[k]) : all));
const numbers = D && new Intl.NumberFormat(D.lang);
const dates = D && new Intl.DateTimeFormat(D.lang === "en" ? "en-GB" : D.lang, { dateStyle: "medium", timeStyle: "medium", timeZone: "UTC", hourCycle: "h23" });
function show(v) {
  if (v instanceof Date) return dates.format(v) + " UTC";
  return typeof v === "number" || typeof v === "bigint" ? numbers.format(v) : String(v);
}
const at = (text) => (text ? new Date(text) : "–");

/** An element with attributes and children; text is never read as HTML. */
function el(name, attributes = {}, ...children) {
  const e = document.createElement(name);
  for (const [k, v] of Object.entries(attributes)) if (v !== undefined) e.setAttribute(k, v);
  e.append(...children.filter((c) => c !== null && c !== undefined));
  return e;
}

// ---- Files of this portal and of the ledger ----

async function get(url, cache = "no-cache") {
  const r = await fetch(url, { cache, credentials: "omit", referrerPolicy: "no-referrer" });
  if (!r.ok) throw new Error(`${url}: ${r.status}`);
  return new Uint8Array(await r.arrayBuffer());
}
const own = (path) => get(new URL(path, base));
const text = (bytes) => new TextDecoder().decode(bytes);

/** How both verifiers read the ledger: fresh, a little ahead, and each file once a check. */
function ledgerFiles() {
  const got = new Map();
  const start = (path) => {
    if (!got.has(path)) {
      const p = get(new URL(path, D.ledger), "no-store");
      p.catch(() => {});
      got.set(path, p);
    }
    return got.get(path);
  };
  // The full files, in the order in which a whole check asks for them. A browser
  // takes longer for a request than the verifier for what it brings.
  let size = 0, next = 0;
  const ahead = async (until) => {
    while (next < Math.min(until, Math.floor(size / 256))) {
      const k = next++;
      await Promise.allSettled([start(hand.bundlePath(k)), start(hand.tilePath(0, k))]);
    }
  };
  const keep = () => size <= 300_000; // more is too much to keep for the second verifier
  const fetchFile = (path) => {
    const m = /^tile\/entries\/((?:x\d{3}\/)*\d{3})$/.exec(path);
    if (m && !keep()) {
      const k = Number(m[1].replace(/x|\//g, ""));
      next = Math.max(next, k);
      ahead(k + 16);
    }
    const p = start(path);
    if (path === "checkpoint") return p.then((b) => { size = Number(text(b).split("\n")[1]) || 0; return b; });
    if (!keep()) got.delete(path);
    return p;
  };
  /** Reads the whole ledger before it is asked for, if it is small enough to be kept. */
  fetchFile.all = () => { if (keep()) for (let i = 0; i < 8; i++) ahead(Infinity); };
  return fetchFile;
}

let directory = null;
async function trust() {
  directory ??= own("data/cells.json").then((file) => {
    const parsed = JSON.parse(text(file));
    return { file, text: text(file), parsed, cell: parsed.cells.find((c) => c.id === D.cell) };
  });
  return directory;
}

// ---- The verifier in WebAssembly ----

let loading = null;
/** bondedVerify of cmd/bonded-verify-wasm, or null where it cannot be had. */
function wasm() {
  loading ??= load().catch((e) => { console.info("bonded: the verifier in WebAssembly is not there:", String(e)); return null; });
  return loading;
}
async function load() {
  if (!D.wasm || typeof WebAssembly === "undefined" || typeof Go === "undefined") return null;
  const url = new URL(D.assets + D.wasm, base);
  let bytes = await get(url, "default");
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) {
    bytes = new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer());
  }
  if (hand.hex(hand.sha256(bytes)) !== D.wasm_sha256) throw new Error("it is not the one that this page names");
  const go = new Go();
  const ready = new Promise((done) => { globalThis.bondedVerifyReady = done; });
  const { instance } = await WebAssembly.instantiate(bytes, go.importObject);
  go.run(instance);
  await ready;
  return globalThis.bondedVerify;
}

// ---- Results ----

const KIND = { "holds": "good", "does not hold": "bad", "cannot tell": "warn" };
const WORD = { "holds": "holds", "does not hold": "does_not_hold", "cannot tell": "cannot_tell" };
const badge = (verdict) => el("span", { class: "badge " + KIND[verdict] }, say(WORD[verdict]));

/** What a failure says: where it is, what that means, and the verifier's own words. */
function reason(a) {
  const out = [];
  const file = /\b((?:tile\/\S+|checkpoint))\b/.exec(a.message ?? "")?.[1];
  const entry = /\bentr(?:y|ies) (\d+)/.exec(a.message ?? "")?.[1];
  if (a.code === "tile" && file) {
    out.push(el("p", {}, el("strong", {}, entry === undefined ? say("where_file", { file }) : say("where_entry", { file, entry: Number(entry) }))));
  }
  const means = "means_" + a.code;
  if (D.say[means]) out.push(el("p", {}, say(means)));
  out.push(el("p", { class: "small soft" }, say("verifier_says") + " ", el("q", { lang: "en" }, a.message || a.code || "")));
  return out;
}

function outcome(into, verdict, ...lines) {
  into.replaceChildren(el("p", {}, badge(verdict)), ...lines.map((l) => (typeof l === "string" ? el("p", {}, l) : l)));
}
const failureOf = (e) => (e instanceof hand.Failure ? { verdict: e.verdict, code: e.code, message: e.message } : { verdict: "cannot tell", code: "missing", message: String(e.message ?? e) });

// ---- What was seen at the last visit ----

const place = D && "bonded-portal:" + D.cell; // not by its address: a ledger that moves away is to be told from a new one
function remembered() {
  try { return JSON.parse(localStorage.getItem(place)); } catch { return null; }
}
function remember(checkpoint, size) {
  try { localStorage.setItem(place, JSON.stringify({ checkpoint, size, seen: new Date().toISOString() })); } catch { /* nothing is remembered then */ }
}
function showRemembered() {
  const r = remembered();
  if ($("remembered-what")) $("remembered-what").textContent = r ? say("remembered", { size: r.size, time: new Date(r.seen) }) : say("remembered_nothing");
}

// ---- The verification page ----

const step = (name) => $("step-" + name);
function settle(name, verdict, ...lines) {
  const li = step(name);
  if (!li) return verdict;
  li.dataset.verdict = verdict;
  li.classList.toggle("done", verdict === "holds");
  outcome(li.querySelector(".outcome"), verdict, ...lines);
  return verdict;
}

async function check(name, f) {
  const li = step(name);
  if (!li) return "holds";
  li.querySelector(".outcome").replaceChildren(el("p", { class: "soft" }, say("checking")));
  try {
    const [verdict, ...lines] = await f();
    return settle(name, verdict, ...lines);
  } catch (e) {
    const a = failureOf(e);
    return settle(name, a.verdict, ...reason(a));
  }
}

const answered = (a, ...lines) => [a.verdict, ...(a.verdict === "holds" ? lines : reason(a))];

async function verifyAll() {
  const button = $("verify-run"), bar = $("verify-progress"), count = $("verify-count");
  button.disabled = true;
  for (const li of document.querySelectorAll("#steps > li")) {
    li.dataset.verdict = "none";
    li.classList.remove("done");
    li.querySelector(".outcome").replaceChildren();
  }
  $("verdict").replaceChildren();
  $("verdict").dataset.verdict = "none";
  count.textContent = say("loading");
  const began = performance.now();
  const files = ledgerFiles();
  files("checkpoint").then(files.all, () => {});
  const v = await wasm();
  const d = await trust().catch(() => null);
  const verdicts = [];
  const run = async (name, f) => verdicts.push(await check(name, f));
  let drawn = 0;
  const progress = (done, size) => {
    if (done < size && performance.now() - drawn < 100) return;
    drawn = performance.now();
    bar.hidden = false;
    bar.value = size ? (100 * done) / size : 100;
    count.textContent = say("progress", { done, size });
  };

  // 1. Whom to believe.
  await run("directory", async () => {
    const file = (d ?? await trust()).file;
    if (!(await hand.directorySigned(file, text(await own("data/cells.json.sig")), d.parsed.admin))) throw new hand.Failure("signature", "the directory is not signed by the administrator it names");
    return ["holds", say("directory_holds", { version: d.parsed.version }), el("p", { class: "small" }, say("directory_digest") + " ", el("code", {}, hand.hex(hand.sha256(file))))];
  });

  // 2. The signed head of the ledger, and who has seen it.
  let cp = null;
  await run("checkpoint", async () => {
    const raw = await files("checkpoint");
    cp = await hand.openCheckpoint(raw, d.cell.ledger_key, d.cell.witness_policy);
    const seen = new Date(Number(cp.witnessTime) * 1000);
    const lines = [say("checkpoint_holds", { n: cp.cosignatures.length, size: cp.size, time: seen })];
    if (Math.abs(Date.now() - seen) > 15 * 60_000) lines.push(el("p", { class: "warn-text" }, say("checkpoint_old")));
    return ["holds", ...lines];
  });

  // 3. That nothing was taken back since the last visit.
  let previous = null;
  await run("visit", async () => {
    const r = remembered();
    if (!cp) return ["cannot tell", say("no_checkpoint")];
    if (!r) return ["holds", say("visit_first")];
    previous = await hand.openCheckpoint(r.checkpoint, d.cell.ledger_key, d.cell.witness_policy);
    if (!v) return ["holds", say("visit_later", { size: r.size })];
    const a = await v.consistency({ directory: d.text, cell: D.cell, older: r.checkpoint, newer: cp.raw, fetch: files });
    return answered(a, say("visit_holds", { older: r.size, size: cp.size, time: new Date(r.seen) }));
  });

  // 4. Every entry and every stored hash. 5. The same, by the other program.
  let first = null;
  await run("ledger", async () => {
    if (!v) return ["cannot tell", say("no_wasm")];
    const since = performance.now();
    first = await v.ledger({ directory: d.text, cell: D.cell, fetch: files, previous: previous?.raw, progress });
    const f = first.found ?? {};
    return answered(first, say("ledger_holds", { entries: f.entries, tiles: f.tiles, seconds: seconds(since) }),
      say("ledger_leaves", { anchors: f.anchors, cases: f.case_entries, announcements: f.announcements, directories: f.directories }));
  });
  await run("second", async () => {
    const since = performance.now();
    let second;
    try {
      const r = await hand.walk(files, d.cell.ledger_key, d.cell.witness_policy, { cell: D.cell, previous, progress });
      second = { verdict: "holds", entries: r.entries };
    } catch (e) {
      second = failureOf(e);
    }
    if (first && (first.verdict !== second.verdict || (first.code ?? "") !== (second.code ?? ""))) {
      return ["does not hold", say("second_differs"), ...(second.verdict === "holds" ? [] : reason(second))];
    }
    return answered(second, say(first ? "second_holds" : "second_alone", { entries: second.entries, seconds: seconds(since) }));
  });

  // 6. This portal itself. 7. and 8. What the operator states and counts.
  await run("build", () => checkBuild(d));
  await run("statement", () => checkStatement(d));
  await run("report", () => checkReport(v, d, progress));

  // The answer to all of it.
  const all = verdicts.includes("does not hold") ? "does not hold" : verdicts.every((x) => x === "holds") ? "holds" : "cannot tell";
  $("verdict").dataset.verdict = all;
  $("verdict").replaceChildren(el("div", { class: "notice " + KIND[all] }, el("strong", {}, say("verdict_" + WORD[all])), el("p", {}, say("verdict_" + WORD[all] + "_is"))));
  bar.hidden = true;
  count.textContent = say("took", { seconds: seconds(began) });
  if (cp && step("ledger").dataset.verdict !== "does not hold" && step("second").dataset.verdict === "holds" && step("visit").dataset.verdict === "holds") {
    remember(text(cp.raw), Number(cp.size));
  }
  showRemembered();
  button.disabled = false;
}
const seconds = (since) => Math.round((performance.now() - since) / 10) / 100;

async function checkBuild(d) {
  const raw = await own("manifest.json");
  const manifest = JSON.parse(text(raw));
  const lines = [];
  if (manifest.format !== "bonded/portal-manifest/1" || manifest.cell !== D.cell) throw new hand.Failure("portal", "the manifest is of another cell or format");
  if (manifest.directory !== hand.hex(hand.sha256(d.file))) throw new hand.Failure("portal", "the manifest is of a portal with another directory");

  // 1. Every file of this language, and all that pages load.
  let n = 0;
  for (const f of manifest.files) {
    if (!f.path.startsWith(D.assets) && !f.path.startsWith("data/") && !f.path.startsWith(D.lang + "/")) continue;
    const sum = hand.hex(hand.sha256(await own(f.path)));
    if (sum !== f.sha256 && !(f.path.endsWith(".gz") && sum === D.wasm_sha256)) throw new hand.Failure("portal", `the file ${f.path} is not the one in the manifest`);
    n++;
  }
  lines.push(say("build_files", { n, of: manifest.files.length }));

  // 2. Who signed the list.
  let verdict = "holds";
  const sigs = JSON.parse(text(await own("manifest.signatures.json")));
  if (sigs.length === 0) {
    lines.push(say("build_unsigned"));
    verdict = "cannot tell";
  } else if (await hand.signer(raw, sigs, "bonded/portal-manifest/1", hand.fromBase64(d.parsed.admin))) {
    lines.push(say("build_signed"));
  } else {
    lines.push(say("signed_by_other", { signer: sigs.map((s) => s.signer).join(", ") }));
    verdict = "cannot tell";
  }

  // 3. That the ledger announces it.
  const evidence = text(await own("manifest.json.evidence"));
  if (evidence === "") {
    lines.push(say("build_not_announced"));
    return ["cannot tell", ...lines];
  }
  const a = await hand.checkEvidence(evidence, "portal", hand.sha256(raw), d.cell);
  lines.push(say("build_announced", { index: a.index, time: new Date(Number(a.checkpoint.witnessTime) * 1000) }));
  return [verdict, ...lines];
}

async function checkStatement(d) {
  if (!D.statement) return ["holds"];
  const s = JSON.parse(text(await own("data/statement.json")));
  const body = hand.fromBase64(s.body);
  const says = JSON.parse(text(body));
  if (says.format !== "bonded/portal-statement/1" || says.cell !== D.cell) throw new hand.Failure("malformed", "the statement is of another cell or format");
  const who = await hand.signer(body, s.signatures, "bonded/portal-statement/1", hand.fromBase64(d.parsed.admin));
  if (!who) return ["cannot tell", say("signed_by_other", { signer: s.signatures.map((x) => x.signer).join(", ") })];
  const until = new Date(says.until);
  if (Date.now() > until) return ["does not hold", say("statement_expired", { time: until })];
  const lines = [say("statement_holds", { time: until })];

  // Nobody can know of a time before the first entry of the ledger.
  let first;
  try {
    const v = await wasm(), files = ledgerFiles();
    if (!v) return ["cannot tell", ...lines, say("statement_since_unseen")];
    const a = await v.inclusion({ directory: d.text, cell: D.cell, checkpoint: await files("checkpoint"), index: 0, fetch: files });
    if (a.verdict !== "holds") return [a.verdict, ...lines, ...reason(a)];
    first = new Date(a.found.time);
  } catch (e) {
    if (e instanceof hand.Failure) throw e;
    return ["cannot tell", ...lines, say("statement_since_unseen")];
  }
  const since = new Date(says.since);
  if (Number(since) + 86_400_000 <= Number(first)) return ["does not hold", say("statement_before", { since, first })];
  return ["holds", ...lines];
}

async function checkReport(v, d, progress) {
  if (!D.report) return ["holds"];
  if (!v) return ["cannot tell", say("no_wasm")];
  const [report, signatures, openings] = await Promise.all(["report.json", "signatures.json", "openings.jsonl"].map((f) => own("report/" + f)));
  const a = await v.report({ directory: d.text, cell: D.cell, report, signatures, openings, fetch: ledgerFiles(), progress });
  const f = a.found ?? {};
  return answered(a, say("report_holds", { size: f.size, cells: f.open_cells, sums: f.sums }), say("report_hidden", { n: f.hidden }), say("report_not_here"));
}

// ---- One entry of the ledger ----

async function showEntry(into, index) {
  into.replaceChildren(el("p", { class: "soft" }, say("checking")));
  try {
    const d = await trust(), v = await wasm(), files = ledgerFiles();
    const raw = await files("checkpoint");
    const cp = await hand.openCheckpoint(raw, d.cell.ledger_key, d.cell.witness_policy);
    if (index === null) index = Number(cp.size) - 1;
    if (index >= cp.size) throw new hand.Failure("missing", `the ledger has ${cp.size} entries, numbered from 0; there is no entry ${index} yet`, "cannot tell");
    const entry = await hand.readEntry(files, index, Number(cp.size));
    const leaf = hand.decodeLeaf(entry);
    if (!leaf) throw new hand.Failure("leaf", `entry ${index} of the ledger is not a leaf`);
    const proven = v ? await v.inclusion({ directory: d.text, cell: D.cell, checkpoint: raw, index, fetch: files }) : null;
    const facts = [
      [say("entry_number"), String(index)], [say("entry_kind"), say("kind_" + leaf.kind)],
      [say("entry_time"), show(new Date(Number(leaf.time) * 1000))],
      leaf.openBy ? [say("entry_open_by"), show(new Date(Number(leaf.openBy) * 1000))] : null,
    ];
    const hash = hand.hex(hand.leafHash(entry));
    // What is proven must be what is shown: the file was perhaps read twice.
    if (proven?.verdict === "holds" && proven.found?.hash !== hash) throw new hand.Failure("inclusion", `entry ${index} is not the same each time it is read`);
    const opened = leaf.kind === "case" ? await findOpening(index, hash) : null;
    if (opened) {
      const word = (area, value) => D.say[area + value] ?? value;
      const parts = [word("caseevent.", opened.event), word("casestate.", opened.state), word("officer.process.", opened.process), opened.jurisdiction];
      facts.push([say("entry_says"), [say("entry_type_" + opened.type), ...parts.filter(Boolean)].join(" · ")]);
    } else if (leaf.kind === "case") facts.push([say("entry_says"), say(opened === null ? "entry_not_opened" : "entry_opening_unknown")]);
    facts.push([say("entry_hash"), el("code", {}, hash)]);
    const lines = proven ? (proven.verdict === "holds" ? [say("entry_holds", { size: cp.size, time: new Date(Number(cp.witnessTime) * 1000) })] : reason(proven)) : [say("entry_no_proof")];
    outcome(into, proven?.verdict ?? "cannot tell", ...lines, factList(facts));
    return leaf;
  } catch (e) {
    const a = failureOf(e);
    outcome(into, a.verdict, ...reason(a));
    return null;
  }
}

function factList(facts) {
  return el("dl", { class: "facts" }, ...facts.filter(Boolean).flatMap(([k, x]) => [el("dt", {}, k), el("dd", {}, x)]));
}

/** What the public feed opens of an entry: the texts of its fields, null if nothing, undefined if it cannot be read. The whole feed is read: asking for one entry would tell which. */
async function findOpening(index, hash) {
  if (!D.feed) return undefined;
  try {
    for (let from = 0, pages = 0; pages < 500; pages++) {
      const page = JSON.parse(text(await get(`${D.api}/v1/openings?from=${from}`, "no-store")));
      for (const o of page.openings ?? []) {
        if (o.index !== index) continue;
        const x = hand.checkOpening(o);
        if (hand.hex(x.hash) !== hash) throw new hand.Failure("inclusion", "the opening is of another leaf than the entry of the ledger");
        return Object.fromEntries(Object.entries(x.fields).map(([k, b]) => [k, text(b)]));
      }
      if (!page.openings?.length || page.next <= from) return null;
      from = page.next;
    }
  } catch (e) {
    if (e instanceof hand.Failure) throw e;
  }
  return undefined;
}

// ---- What happened to my data ----

async function showReceipt(into, receipt) {
  into.replaceChildren(el("p", { class: "soft" }, say("checking")));
  const v = await wasm();
  if (!v) {
    outcome(into, "cannot tell", say("no_wasm_receipt"));
    return;
  }
  let d;
  try { d = await trust(); } catch (e) { outcome(into, "cannot tell", ...reason(failureOf(e))); return; }
  const a = await v.receipt({ directory: d.text, receipt });
  if (a.verdict !== "holds") {
    outcome(into, a.verdict, ...reason(a));
    return;
  }
  const f = a.found;
  const subjects = [...new Set(f.items.map((i) => i.subject).filter(Boolean))];
  const fields = [...new Set(f.items.flatMap((i) => i.fields ?? []))];
  const lines = [say("receipt_holds", { index: f.index, n: f.witnesses, time: at(f.witnessed_by) }), factList([
    [say("receipt_who"), f.principal ? `${f.principal} (${D.say["assurance_" + f.assurance] ?? f.assurance})` : say("receipt_nobody")],
    [say("receipt_what"), (D.say["operation_" + f.operation] ?? f.operation) + (f.collection ? " · " + f.collection : "")],
    fields.length ? [say("receipt_fields"), fields.join(", ")] : null,
    [say("receipt_purpose"), f.purpose || "–"],
    f.reason ? [say("receipt_reason"), f.reason] : null,
    [say("receipt_outcome"), (D.say["outcome_" + f.outcome] ?? f.outcome) + (f.code ? " · " + f.code : "")],
    [say("receipt_time"), show(at(f.time))],
    subjects.length ? [say("receipt_subject"), subjects.join(", ")] : null,
    [say("receipt_shown"), say("receipt_items", { shown: f.items.length, n: f.item_count })],
    [say("receipt_entry"), `${f.entry} · ${f.index}`],
  ])];

  // The ledger of today must still hold what the receipt was given under.
  try {
    if (f.cell !== D.cell) throw new Error("the ledger of another cell is not read here");
    const older = JSON.parse(receipt).proof.split("\n\n").slice(1).join("\n\n");
    const files = ledgerFiles();
    const now = await files("checkpoint");
    const c = await v.consistency({ directory: d.text, cell: f.cell, older, newer: now, fetch: files });
    if (c.verdict === "does not hold") {
      outcome(into, c.verdict, say("receipt_forked"), ...reason(c));
      return;
    }
    lines.push(c.verdict === "holds" ? say("receipt_still") : say("receipt_offline"));
  } catch {
    lines.push(say("receipt_offline"));
  }
  outcome(into, "holds", ...lines);
}

/** A notice code as people type it, in its one spelling; null if it is mistyped (spec/notice.md). */
export function noticeCode(typed) {
  const chars = [...typed.toUpperCase().replace(/[ -]/g, "")];
  if (chars.length !== 20) return null;
  const body = chars.slice(0, 19).map((c) => ({ O: "0", I: "1", L: "1" }[c] ?? c));
  if (body.some((c) => !"0123456789ABCDEFGHJKMNPQRSTVWXYZ".includes(c))) return null;
  const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  let p = 36;
  for (const c of body) { // ISO 7064 MOD 37,36
    p = (p + digits.indexOf(c)) % 36 || 36;
    p = (p * 2) % 37;
  }
  return digits[(37 - p) % 36] === chars[19] ? [...body, chars[19]].join("").replace(/(.{4})(?=.)/g, "$1-") : null;
}

async function showCode(into) {
  const typed = $("code-text").value.trim(), number = $("code-entry").value.trim();
  into.replaceChildren();
  if (typed) {
    const code = noticeCode(typed);
    outcome(into, code ? "holds" : "does not hold", code ? say("code_good", { code }) : say("code_bad"));
    if (!code) return;
  }
  if (/^\d{1,15}$/.test(number)) {
    const place = el("div");
    into.append(place);
    const leaf = await showEntry(place, Number(number));
    if (leaf) place.append(el("p", {}, say(leaf.kind === "case" ? "code_is_case" : "code_no_case")));
  } else if (!typed) {
    outcome(into, "cannot tell", say("code_nothing"));
  }
}

// ---- Where it begins ----

function begin() {
  for (const e of document.querySelectorAll("[data-live-verify], [data-live-entry], [data-live-receipt], [data-live-code], [data-live-report]")) e.hidden = false;
  for (const e of document.querySelectorAll("[data-without-script]")) e.hidden = true;

  $("verify-run")?.addEventListener("click", () => { verifyAll(); });
  $("forget")?.addEventListener("click", () => {
    try { localStorage.removeItem(place); } catch { /* there was nothing */ }
    showRemembered();
  });
  showRemembered();
  $("entry-form")?.addEventListener("submit", (e) => {
    e.preventDefault();
    showEntry($("entry-result"), Number($("entry-index").value));
  });
  $("entry-newest")?.addEventListener("click", () => { showEntry($("entry-result"), null); });
  $("receipt-form")?.addEventListener("submit", (e) => {
    e.preventDefault();
    showReceipt($("receipt-result"), $("receipt-text").value.trim());
  });
  $("receipt-file")?.addEventListener("change", async (e) => {
    const file = e.target.files[0];
    if (!file) return;
    $("receipt-text").value = await file.text();
    showReceipt($("receipt-result"), $("receipt-text").value.trim());
  });
  $("code-form")?.addEventListener("submit", (e) => {
    e.preventDefault();
    showCode($("code-result"));
  });
  $("report-check")?.addEventListener("click", async () => {
    const into = $("report-result");
    into.replaceChildren(el("p", { class: "soft" }, say("checking")));
    try {
      const [verdict, ...lines] = await checkReport(await wasm(), await trust());
      outcome(into, verdict, ...lines);
    } catch (e) {
      const a = failureOf(e);
      outcome(into, a.verdict, ...reason(a));
    }
  });
  if ($("statement-result")) {
    trust().then(checkStatement).then(([verdict, ...lines]) => outcome($("statement-result"), verdict, ...lines), (e) => {
      const a = failureOf(e);
      outcome($("statement-result"), a.verdict, ...reason(a));
    });
  }
}

if (D) begin();
if ("serviceWorker" in navigator && D) navigator.serviceWorker.register(new URL("sw.js", base), { scope: base.pathname }).catch(() => {});
