// Runs both verifiers of a page over spec/vectors and prints what each says, one
// JSON object a line. Usage: node verdicts.mjs SPEC_VECTORS WASM_DIR
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import * as hand from "../static/verify.js";

const [vectors, built] = process.argv.slice(2);
const read = (...p) => fs.readFileSync(path.join(vectors, ...p));
const json = (...p) => JSON.parse(read(...p));
const say = (by, what, r) => console.log(JSON.stringify({ by, what, ...r }));

// The one in WebAssembly, as a page starts it.
await import(pathToFileURL(path.join(built, "wasm_exec.js")).href);
const go = new Go();
const ready = new Promise((done) => { globalThis.bondedVerifyReady = done; });
const { instance } = await WebAssembly.instantiate(fs.readFileSync(path.join(built, "verify.wasm")), go.importObject);
go.run(instance);
await ready;
const wasm = globalThis.bondedVerify;

async function byHand(what, f) {
  try {
    say("hand", what, { verdict: "holds", ...(await f()) });
  } catch (e) {
    if (!(e instanceof hand.Failure)) throw e;
    say("hand", what, { verdict: e.verdict, code: e.code, message: e.message });
  }
}
async function byWasm(what, promise, more = () => ({})) {
  const a = await promise;
  say("wasm", what, { verdict: a.verdict, code: a.code, message: a.message, ...(a.verdict === "holds" ? more(a) : {}) });
}

// 1. Checkpoints and proofs.
const log = json("checkpoint.json");
const keys = { key: log.log_vkey, policy: log.policy };
for (const c of log.checkpoints) {
  await byHand("checkpoint: " + c.name, async () => ({ time: Number((await hand.openCheckpoint(c.checkpoint, keys.key, keys.policy)).witnessTime) }));
  await byWasm("checkpoint: " + c.name, wasm.proof({ ...keys, leaf: "", checkpoint: c.checkpoint }), (a) => ({ time: a.found.witness_time }));
}
for (const p of log.proofs) {
  await byHand("proof: " + p.name, async () => { await hand.checkProof(p.leaf, p.proof, keys.key, keys.policy); });
  await byWasm("proof: " + p.name, wasm.proof({ ...keys, leaf: btoa(p.leaf), proof: p.proof }));
}

// 2. Whole ledgers: as they are, and with one byte of each file changed or the file gone.
for (const name of ["cell", "report"]) {
  const directory = read(name, "cells.json").toString();
  const cell = JSON.parse(directory).cells[0];
  const files = new Map();
  for (const e of fs.readdirSync(path.join(vectors, name, "ledger"), { recursive: true, withFileTypes: true })) {
    if (e.isFile()) {
      const file = path.join(e.parentPath, e.name);
      files.set(path.relative(path.join(vectors, name, "ledger"), file), new Uint8Array(fs.readFileSync(file)));
    }
  }
  const both = async (what, get) => {
    const fetch = async (p) => get(p) ?? Promise.reject(new Error(p + ": not there"));
    await byHand(what, async () => { const r = await hand.walk(fetch, cell.ledger_key, cell.witness_policy, { cell: cell.id }); return { entries: r.entries, tiles: r.tiles }; });
    await byWasm(what, wasm.ledger({ directory, cell: cell.id, fetch }), (a) => ({ entries: a.found.entries, tiles: a.found.tiles }));
  };
  await both("ledger: " + name, (p) => files.get(p));
  for (const [file, bytes] of files) {
    const bad = Uint8Array.from(bytes);
    bad[bad.length >> 1] ^= 1;
    await both(`ledger: ${name}, altered ${file}`, (p) => (p === file ? bad : files.get(p)));
    await both(`ledger: ${name}, without ${file}`, (p) => (p === file ? undefined : files.get(p)));
  }
}

// 3. Openings of case entries, as they are and altered.
for (const o of json("casebook.json").openings) {
  const altered = structuredClone(o);
  const field = altered.fields.find((f) => f.salt);
  field.salt = field.salt.replace(/^./, (c) => (c === "A" ? "B" : "A"));
  for (const [what, x] of [["as it is", o], ["altered", altered]]) {
    await byHand(`opening: ${o.index} ${what}`, async () => { hand.checkOpening(x); });
    await byWasm(`opening: ${o.index} ${what}`, wasm.opening({ opening: JSON.stringify(x) }));
  }
}

// 4. Consistency and inclusion over stored tiles, by hand for the same sizes.
{
  const directory = read("report", "cells.json").toString();
  const cell = JSON.parse(directory).cells[0];
  const fetch = async (p) => new Uint8Array(read("report", "ledger", p));
  const checkpoint = read("report", "ledger", "checkpoint").toString();
  for (const index of [0, 255, 256, 505]) {
    await byWasm(`inclusion: ${index}`, wasm.inclusion({ directory, cell: cell.id, checkpoint, index, fetch }), (a) => ({ hash: a.found.hash }));
    await byHand(`inclusion: ${index}`, async () => ({ hash: hand.hex(hand.leafHash(await hand.readEntry(fetch, index, 506))) }));
  }
  await byWasm("inclusion: 506", wasm.inclusion({ directory, cell: cell.id, checkpoint, index: 506, fetch }));
  await byWasm("consistency: with itself", wasm.consistency({ directory, cell: cell.id, older: checkpoint, newer: checkpoint, fetch }));

  // 5. What the one in WebAssembly checks alone.
  const files = { report: read("report", "report.json"), signatures: read("report", "signatures.json"), openings: read("report", "openings.jsonl") };
  const text = Object.fromEntries(Object.entries(files).map(([k, v]) => [k, v.toString()]));
  await byWasm("report", wasm.report({ directory, cell: cell.id, ...text, fetch }));
  await byWasm("report: altered", wasm.report({ directory, cell: cell.id, ...text, report: text.report.replace('"count":', '"count":1'), fetch }));
}
{
  const directory = read("cell", "cells.json").toString();
  const cell = JSON.parse(directory).cells[0].id;
  const receipt = read("cell", "receipt.json").toString();
  await byWasm("directory", wasm.directory({ directory, signature: read("cell", "cells.json.sig").toString() }));
  await byWasm("directory: altered", wasm.directory({ directory: directory.replace("2026", "2027"), signature: read("cell", "cells.json.sig").toString() }));
  await byWasm("receipt", wasm.receipt({ directory, receipt }));
  await byWasm("receipt: altered", wasm.receipt({ directory, receipt: receipt.replace(/("head_salt":")./, "$1A") }));
  const headers = read("cell", "promise.txt").toString().trim().split("\n").map((l) => l.replace(/^Bonded-Receipt:\s*/, ""));
  await byWasm("promise", wasm.promises({ directory, cell, headers, journal: read("cell", "journal.jsonl").toString() }));
  const control = json("control.json");
  const a = control.announcements[0];
  const id = JSON.parse(control.directory).cells[0].id;
  await byWasm("evidence", wasm.evidence({ directory: control.directory, cell: id, evidence: a.evidence, subject: a.control.subject, digest: a.control.digest }));
  await byWasm("evidence: of another subject", wasm.evidence({ directory: control.directory, cell: id, evidence: a.evidence, subject: "portal", digest: a.control.digest }));
}
process.exit(0);
