// A second verifier for the public ledger, written by hand from spec/ledger.md,
// spec/journal.md and spec/casebook.md and sharing no code with the Go one: two
// programs that nobody made from each other should come to the same answer. Both
// run over spec/vectors in the tests.
//
// It checks checkpoints, cosignatures, proofs, whole ledgers, openings of case
// entries, announcements, and signatures on statements and directories. It does
// not check receipts, reports or packages. It talks to nobody:
// the caller hands it bytes, or a function that fetches them. Ed25519 is the
// browser's own (WebCrypto); SHA-256 is here, because asking the browser for
// each of a hundred thousand hashes is slow.
//
// Start at openCheckpoint, checkProof and walk.

/** What does not hold, or cannot be told, with a code of spec/ledger.md. */
export class Failure extends Error {
  constructor(code, message, verdict = "does not hold") {
    super(message);
    this.code = code;
    this.verdict = verdict;
  }
}
const fail = (code, message) => { throw new Failure(code, message); };
const unknown = (code, message) => { throw new Failure(code, message, "cannot tell"); };

// ---- Bytes ----

const utf8 = new TextEncoder();
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export const bytesOf = (x) => (typeof x === "string" ? utf8.encode(x) : x);
export const hex = (b) => Array.from(b, (x) => x.toString(16).padStart(2, "0")).join("");
export function toBase64(b) {
  let s = "";
  for (const x of b) s += String.fromCharCode(x);
  return btoa(s);
}

/** Standard base64 in its one spelling: padded, no line ends, zero trailing bits. Null for all else. */
export function fromBase64(s) {
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(s)) return null;
  const b = Uint8Array.from(atob(s), (c) => c.charCodeAt(0));
  return toBase64(b) === s ? b : null;
}

const same = (a, b) => a.length === b.length && a.every((x, i) => x === b[i]);

function join(...parts) {
  const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) { out.set(p, at); at += p.length; }
  return out;
}

/** A decimal without sign or leading zero, as a number. Null for all else. */
function decimal(s, most) {
  if (!/^(?:0|[1-9][0-9]{0,18})$/.test(s)) return null;
  const n = BigInt(s);
  return n <= most ? n : null;
}

// ---- SHA-256 (FIPS 180-4) ----

const K = new Uint32Array(64);
const START = new Uint32Array(8);
{ // The constants are fractions of roots of the first primes.
  const bits = (x) => Math.floor((x - Math.floor(x)) * 0x100000000);
  let n = 0;
  for (let p = 2; n < 64; p++) {
    let prime = true;
    for (let d = 2; d * d <= p; d++) if (p % d === 0) prime = false;
    if (!prime) continue;
    if (n < 8) START[n] = bits(Math.sqrt(p));
    K[n++] = bits(Math.cbrt(p));
  }
}
const W = new Uint32Array(64);
const H = new Uint32Array(8);

function block(b, at) {
  for (let i = 0; i < 16; i++, at += 4) W[i] = (b[at] << 24) | (b[at + 1] << 16) | (b[at + 2] << 8) | b[at + 3];
  for (let i = 16; i < 64; i++) {
    const x = W[i - 15], y = W[i - 2];
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    W[i] = (W[i - 16] + s0 + W[i - 7] + s1) | 0;
  }
  let a = H[0], bb = H[1], c = H[2], d = H[3], e = H[4], f = H[5], g = H[6], h = H[7];
  for (let i = 0; i < 64; i++) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + K[i] + W[i]) | 0;
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const t2 = (s0 + ((a & bb) ^ (a & c) ^ (bb & c))) | 0;
    h = g; g = f; f = e; e = (d + t1) | 0; d = c; c = bb; bb = a; a = (t1 + t2) | 0;
  }
  H[0] += a; H[1] += bb; H[2] += c; H[3] += d; H[4] += e; H[5] += f; H[6] += g; H[7] += h;
}

/** SHA-256 of bytes. */
export function sha256(data) {
  H.set(START);
  const whole = data.length & ~63;
  for (let at = 0; at < whole; at += 64) block(data, at);
  const rest = data.length - whole;
  const tail = new Uint8Array(rest < 56 ? 64 : 128);
  tail.set(data.subarray(whole));
  tail[rest] = 0x80;
  const bits = data.length * 8;
  for (let i = 0, n = bits; i < 7; i++, n = Math.floor(n / 256)) tail[tail.length - 1 - i] = n % 256;
  for (let at = 0; at < tail.length; at += 64) block(tail, at);
  const out = new Uint8Array(32);
  for (let i = 0; i < 8; i++) {
    out[4 * i] = H[i] >>> 24; out[4 * i + 1] = H[i] >>> 16; out[4 * i + 2] = H[i] >>> 8; out[4 * i + 3] = H[i];
  }
  return out;
}

// ---- Trees (RFC 6962 section 2.1) ----

export const leafHash = (entry) => sha256(join(Uint8Array.of(0), entry));
const pair = new Uint8Array(65);
pair[0] = 1;
export function nodeHash(left, right) {
  pair.set(left, 1);
  pair.set(right, 33);
  return sha256(pair);
}
const NOTHING = sha256(new Uint8Array());

/** The tree hash over leaf hashes. */
export function treeRoot(leaves) {
  if (leaves.length === 0) return NOTHING;
  if (leaves.length === 1) return leaves[0];
  let k = 1;
  while (2 * k < leaves.length) k *= 2;
  return nodeHash(treeRoot(leaves.slice(0, k)), treeRoot(leaves.slice(k)));
}

/** Whether path leads from leaf number index of size to root (RFC 9162 section 2.1.3.2). */
export function pathHolds(root, path, index, size, leaf) {
  let [f, s] = [BigInt(index), BigInt(size) - 1n];
  if (f < 0n || f > s) return false;
  let r = leaf;
  for (const p of path) {
    if (s === 0n) return false;
    if (f & 1n || f === s) {
      r = nodeHash(p, r);
      while (!(f & 1n) && f !== 0n) { f >>= 1n; s >>= 1n; }
    } else {
      r = nodeHash(r, p);
    }
    f >>= 1n; s >>= 1n;
  }
  return s === 0n && same(r, root);
}

/** Whether proof shows that the tree of size and root extends the older one (RFC 9162 section 2.1.4.2). */
export function consistencyHolds(oldSize, oldRoot, size, root, proof) {
  let [first, second] = [BigInt(oldSize), BigInt(size)];
  if (first > second) return false;
  if (first === second) return proof.length === 0 && same(oldRoot, root);
  if (first === 0n) return proof.length === 0;
  const path = proof.slice();
  if ((first & (first - 1n)) === 0n) path.unshift(oldRoot);
  if (path.length === 0) return false;
  let [f, s] = [first - 1n, second - 1n];
  while (f & 1n) { f >>= 1n; s >>= 1n; }
  let fr = path[0], sr = path[0];
  for (const c of path.slice(1)) {
    if (s === 0n) return false;
    if (f & 1n || f === s) {
      fr = nodeHash(c, fr);
      sr = nodeHash(c, sr);
      while (!(f & 1n) && f !== 0n) { f >>= 1n; s >>= 1n; }
    } else {
      sr = nodeHash(sr, c);
    }
    f >>= 1n; s >>= 1n;
  }
  return s === 0n && same(fr, oldRoot) && same(sr, root);
}

// ---- Keys (C2SP signed-note) and the witness policy (C2SP tlog-policy) ----

const LOG = 0x01, WITNESS = 0x04;
const keyName = (s) => s.length > 0 && utf8.encode(s).length <= 256 && !/[\s\u0085\p{Cc}+]/u.test(s);

/** A verifier key: {name, id, key}. Null for anything but one of that type. */
export function parseVkey(vkey, type) {
  const [, name, id, text] = /^([^+]*)\+([0-9a-f]{8})\+(.*)$/s.exec(vkey) ?? [];
  const data = text === undefined ? null : fromBase64(text);
  if (!data || !keyName(name) || data.length !== 33 || data[0] !== type) return null;
  const own = sha256(join(utf8.encode(name + "\n"), data)).subarray(0, 4);
  return hex(own) === id ? { vkey, name, id, key: data.subarray(1) } : null;
}

/** Reads a policy strictly: {logs, witnesses, satisfied(names)}. Null for what is none. */
export function parsePolicy(text) {
  const p = { logs: [], witnesses: [] };
  const groups = new Map(), defined = new Set(), used = new Set(), keys = new Set();
  let quorum = "";
  const reserved = ["none", "any", "all", "log", "witness", "group", "quorum"];
  const define = (name) => !reserved.includes(name) && !defined.has(name) && defined.size < 128 && defined.add(name);
  const fresh = (k) => k && !keys.has(hex(k.key)) && keys.size < 128 && keys.add(hex(k.key));
  if (utf8.encode(text).length > 65536) return null;
  for (const line of text.split("\n")) {
    if (/[\x00-\x08\x0a-\x1f\x7f]/.test(line)) return null;
    const f = line.split(/[ \t]+/).filter((x) => x !== "");
    if (f.length === 0 || f[0].startsWith("#")) continue;
    const args = f.slice(1);
    switch (f[0]) {
      case "log": {
        const k = args.length >= 1 && args.length <= 2 ? parseVkey(args[0], LOG) : null;
        if (!fresh(k)) return null;
        p.logs.push(args[0]);
        break;
      }
      case "witness": {
        if (args.length < 2 || args.length > 3 || !define(args[0])) return null;
        const k = parseVkey(args[1], WITNESS);
        if (!fresh(k)) return null;
        p.witnesses.push({ as: args[0], ...k });
        break;
      }
      case "group": {
        const [name, threshold, ...members] = args;
        if (members.length === 0) return null;
        for (const m of members) {
          if (!defined.has(m) || used.has(m)) return null;
          used.add(m);
        }
        const k = new Map([["all", BigInt(members.length)], ["any", 1n]]).get(threshold) ?? decimal(threshold, BigInt(members.length));
        if (!k || !define(name)) return null;
        groups.set(name, { k: Number(k), members });
        break;
      }
      case "quorum":
        if (args.length !== 1 || quorum !== "" || !defined.has(args[0])) return null;
        quorum = args[0];
        break;
      default:
        return null;
    }
  }
  if (quorum === "") return null;
  const meets = (name, have) => {
    const g = groups.get(name);
    return g ? g.members.filter((m) => meets(m, have)).length >= g.k : have.has(name);
  };
  p.satisfied = (names) => meets(quorum, new Set(names));
  return p;
}

// ---- Checkpoints (C2SP tlog-checkpoint, tlog-cosignature) ----

async function ed25519(key, message, signature) {
  if (!globalThis.crypto?.subtle) unknown("key", "this browser checks no signatures on a page that came without encryption");
  let k;
  try {
    k = await crypto.subtle.importKey("raw", key, { name: "Ed25519" }, false, ["verify"]);
  } catch {
    unknown("key", "this browser does not know Ed25519 signatures, or the key is none");
  }
  return crypto.subtle.verify({ name: "Ed25519" }, k, signature, message);
}

/** Reads a signed note: {text, sigs: [{name, id, data}]}. It checks no signature. */
function parseNote(raw) {
  const bad = () => fail("malformed", "checkpoint is not a signed note");
  if (raw.length > 16384) bad();
  let s;
  try { s = strict.decode(raw); } catch { bad(); }
  if (/[\x00-\x09\x0b-\x1f]/.test(s)) bad();
  const cut = s.lastIndexOf("\n\n");
  const text = s.slice(0, cut + 1), lines = s.slice(cut + 2);
  if (cut < 0 || lines === "" || !lines.endsWith("\n")) bad();
  const sigs = [];
  for (const line of lines.slice(0, -1).split("\n")) {
    const [, name, b64] = /^\u2014 ([^ ]*) (.*)$/su.exec(line) ?? [];
    const data = b64 ? fromBase64(b64) : null;
    if (!data || !keyName(name) || data.length < 5 || sigs.length >= 100) bad();
    sigs.push({ name, id: hex(data.subarray(0, 4)), data: data.subarray(4) });
  }
  return { text, sigs };
}

/** Reads the text of a checkpoint: {origin, size, root, text}. */
function parseCheckpointText(text) {
  const bad = (what) => fail("malformed", "checkpoint: " + what);
  const lines = text.slice(0, -1).split("\n");
  if (lines.length < 3) bad("fewer than three lines");
  if (lines.includes("")) bad("empty line in the text");
  const size = decimal(lines[1], 1n << 56n), root = fromBase64(lines[2]);
  if (size === null) bad("tree size is not a decimal in range");
  if (!root || root.length !== 32) bad("root is not 32 bytes in base64");
  if (size === 0n && !same(root, NOTHING)) bad("root of an empty tree is not the hash of nothing");
  return { origin: lines[0], size, root, text };
}

/**
 * Checks a checkpoint under the key of a log and the text of a witness policy, by
 * the five steps of spec/ledger.md section 2. Returns {origin, size, root, text,
 * raw, cosignatures, witnessTime}; sizes and times are BigInts.
 */
export async function openCheckpoint(raw, logVkey, policyText) {
  raw = bytesOf(raw);
  const log = parseVkey(logVkey, LOG) ?? unknown("key", "the log's public key cannot be used");
  const policy = parsePolicy(policyText) ?? unknown("key", "the witness policy cannot be used");
  if (policy.logs.length > 0 && !policy.logs.includes(logVkey)) fail("origin", "the witness policy does not name this log with this key");
  if (policy.witnesses.some((w) => same(w.key, log.key))) fail("quorum", "a witness has the key of the log");

  // 1. Its form. 2. Its origin.
  const { text, sigs } = parseNote(raw);
  const cp = { ...parseCheckpointText(text), raw, cosignatures: [] };
  if (cp.origin !== log.name) fail("origin", `checkpoint is of log ${JSON.stringify(cp.origin)}, not ${JSON.stringify(log.name)}`);

  // 3. The log. 4. Each witness of the policy.
  let signed = false;
  const seen = new Set();
  for (const s of sigs) {
    const who = s.name + "+" + s.id;
    if (seen.has(who)) continue;
    if (s.name === log.name && s.id === log.id) {
      seen.add(who);
      if (s.data.length !== 64 || !(await ed25519(log.key, utf8.encode(text), s.data))) fail("log_signature", "the signature of the log is not valid");
      signed = true;
      continue;
    }
    const w = policy.witnesses.find((x) => x.name === s.name && x.id === s.id);
    if (!w) continue;
    seen.add(who);
    const time = s.data.length === 72 ? new DataView(s.data.buffer, s.data.byteOffset).getBigUint64(0) : -1n;
    const good = time >= 0n && time < 1n << 63n &&
      await ed25519(w.key, utf8.encode(`cosignature/v1\ntime ${time}\n${text}`), s.data.subarray(8));
    if (!good) fail("quorum", `the cosignature of witness ${JSON.stringify(s.name)} is not valid`);
    cp.cosignatures.push({ name: w.name, as: w.as, time });
  }
  if (!signed) fail("log_signature", "the log has not signed the checkpoint");

  // 5. The quorum, from the newest cosignature on: the one that meets it gives the time.
  const names = [];
  for (const c of cp.cosignatures.toSorted((a, b) => (a.time > b.time ? -1 : a.time < b.time ? 1 : 0))) {
    names.push(c.as);
    if (policy.satisfied(names)) {
      cp.witnessTime = c.time;
      return cp;
    }
  }
  return fail("quorum", `${cp.cosignatures.length} of ${policy.witnesses.length} witnesses have cosigned the checkpoint; the policy asks for more`);
}

// ---- Proofs (C2SP tlog-proof) ----

/** Checks that a proof shows the entry to be in the log. Returns {index, checkpoint}. */
export async function checkProof(entry, proof, logVkey, policyText) {
  const bad = (what) => fail("malformed", "tlog-proof: " + what);
  const text = typeof proof === "string" ? proof : strict.decode(proof);
  const cut = text.indexOf("\n\n");
  if (text.length > 98304 || cut < 0 || cut + 2 === text.length) bad("no checkpoint");
  const lines = text.slice(0, cut).split("\n");
  if (lines.shift() !== "c2sp.org/tlog-proof@v1") bad("first line is not c2sp.org/tlog-proof@v1");
  if (lines[0]?.startsWith("extra ") && !fromBase64(lines.shift().slice(6))?.length) bad("extra data is not base64");
  const index = lines[0]?.startsWith("index ") ? decimal(lines.shift().slice(6), (1n << 56n) - 1n) : null;
  if (index === null) bad("no index, or not a decimal in range");
  const path = lines.map(fromBase64);
  if (path.length > 63 || path.some((h) => h?.length !== 32)) bad("a hash is not 32 bytes in base64, or there are too many");
  parseCheckpointText(parseNote(utf8.encode(text.slice(cut + 2))).text);
  const cp = await openCheckpoint(text.slice(cut + 2), logVkey, policyText);
  if (!pathHolds(cp.root, path, index, cp.size, leafHash(bytesOf(entry)))) fail("inclusion", `the path does not lead from entry ${index} to the root of ${cp.size} entries`);
  return { index, checkpoint: cp };
}

// ---- Leaves (spec/journal.md section 5) and openings (spec/casebook.md) ----

const MAGIC = utf8.encode("bonded/leaf/1\n\0\0");
export const LEAF_KINDS = { 1: "anchor", 2: "directory", 3: "case", 4: "control" };

/** Reads the 128 bytes of a leaf: {kind, cell, time, openBy, prev, root}. Null for what is none. */
export function decodeLeaf(b) {
  const kind = LEAF_KINDS[b[16]];
  if (b.length !== 128 || !same(b.subarray(0, 16), MAGIC) || !kind) return null;
  const cell = /^([a-z0-9]{2,8})\0*$/.exec(String.fromCharCode(...b.subarray(24, 32)))?.[1];
  const zero = (from, to) => b.subarray(from, to).every((x) => x === 0);
  if (!cell || !zero(17, 24) || !zero(112, 128)) return null;
  const v = new DataView(b.buffer, b.byteOffset);
  return { kind, cell, time: v.getBigUint64(32), openBy: v.getBigUint64(40), prev: b.slice(48, 80), root: b.slice(80, 112) };
}

export const CASE_FIELDS = ["type", "case", "number", "previous", "jurisdiction", "requester_kind", "process", "basis", "class", "event", "from",
  "state", "actor", "detail", "targets", "subjects", "scope", "content", "time", "until", "extends", "person"];

const lp = (...parts) => join(...parts.flatMap((p) => {
  const n = new Uint8Array(8);
  new DataView(n.buffer).setBigUint64(0, BigInt(p.length));
  return [n, p];
}));

/** The leaf hash of the commitment to one field. */
export function commitment(name, salt, value) {
  return leafHash(sha256(join(utf8.encode("bonded/field/1"), salt, lp(utf8.encode(name), value))));
}

/** Checks that an opening (parsed JSON) is of the leaf it shows. Returns {index, leaf, hash, fields, closed}. */
export function checkOpening(o) {
  const raw = typeof o.leaf === "string" ? fromBase64(o.leaf) : null;
  const leaf = raw && decodeLeaf(raw);
  if (o.format !== "bonded/opening/1" || !Array.isArray(o.fields)) fail("malformed", "not an opening of format bonded/opening/1");
  if (!leaf || leaf.kind !== "case" || !(o.index >= 0)) fail("leaf", "the opening shows no case leaf");
  if (o.fields.length !== CASE_FIELDS.length) fail("malformed", "the opening has another number of fields");
  const fields = {}, closed = [];
  const hashes = o.fields.map((f, i) => {
    const part = (name) => (f[name] === undefined ? null : fromBase64(f[name]) ?? fail("malformed", "a field is not base64"));
    const salt = part("salt"), value = part("value"), shut = part("commitment");
    if (shut && shut.length === 32 && !salt && !value) {
      closed.push(CASE_FIELDS[i]);
      return shut;
    }
    if (!salt || salt.length !== 32 || shut) fail("malformed", `field ${CASE_FIELDS[i]} is neither open nor closed`);
    fields[CASE_FIELDS[i]] = value ?? new Uint8Array();
    return commitment(CASE_FIELDS[i], salt, value ?? new Uint8Array());
  });
  if (!same(treeRoot(hashes), leaf.root)) fail("leaf", `the opening of entry ${o.index} is not what its leaf commits to`);
  return { index: o.index, leaf, hash: leafHash(raw), fields, closed };
}

// ---- What is signed and announced (spec/frontdoor.md, spec/directory.md, spec/control.md) ----

/** Whether one of the signatures [{signer, value}] on a body under a label is by the Ed25519 key. Returns the signer, or null. */
export async function signer(body, signatures, label, key) {
  for (const s of signatures) {
    const value = typeof s.value === "string" ? fromBase64(s.value) : null;
    const message = lp(...["bonded/statement/1", label, s.signer].map(bytesOf), sha256(body));
    if (value?.length === 64 && (await ed25519(key, message, value))) return s.signer;
  }
  return null;
}

/** Whether cells.json.sig is the signature of the administrator whom cells.json names. */
export async function directorySigned(file, signature, admin) {
  const value = fromBase64(signature.replace(/\n$/, ""));
  return value?.length === 64 && ed25519(fromBase64(admin), join(utf8.encode("bonded/directory-signature/1"), sha256(file)), value);
}

/** Checks evidence (text) that the ledger of a cell of the directory announces a file. Returns {index, number, checkpoint}. */
export async function checkEvidence(text, subject, digest, cell) {
  const bad = () => fail("malformed", "evidence is not of format bonded/evidence/1");
  let e;
  try { e = JSON.parse(text); } catch { bad(); }
  const raw = fromBase64(e?.leaf ?? "!");
  const leaf = raw && decodeLeaf(raw);
  if (e?.format !== "bonded/evidence/1" || !leaf || !Array.isArray(e.fields)) bad();
  if (leaf.cell !== cell.id) fail("cell", "the announcement is of another cell");
  const names = ["subject", "number", "digest", "approvals"];
  const fields = e.fields.map((f) => ({ name: f.name, salt: fromBase64(f.salt) ?? bad(), value: fromBase64(f.value) ?? bad() }));
  if (leaf.kind !== "control" || leaf.openBy !== 0n || fields.map((f) => f.name).join() !== names.join() || fields.some((f) => f.salt.length !== 32)) fail("control", "the leaf announces nothing");
  if (!same(treeRoot(fields.map((f) => commitment(f.name, f.salt, f.value))), leaf.root)) fail("control", "the fields are not those the leaf commits to");
  if (strict.decode(fields[0].value) !== subject) fail("control", "the evidence is of another subject");
  if (!same(fields[2].value, digest)) fail("control", "the evidence is of another file");
  const { index, checkpoint } = await checkProof(raw, e.proof, cell.ledger_key, cell.witness_policy);
  return { index, number: new DataView(fields[1].value.buffer).getBigUint64(0), checkpoint };
}

// ---- Whole ledgers (C2SP tlog-tiles, spec/ledger.md section 5) ----

function tileIndex(n) {
  let s = String(n % 1000).padStart(3, "0");
  for (n = Math.floor(n / 1000); n > 0; n = Math.floor(n / 1000)) s = "x" + String(n % 1000).padStart(3, "0") + "/" + s;
  return s;
}
const partial = (width) => (width === 256 ? "" : ".p/" + width);
export const tilePath = (level, index, width = 256) => `tile/${level}/${tileIndex(index)}${partial(width)}`;
export const bundlePath = (index, width = 256) => `tile/entries/${tileIndex(index)}${partial(width)}`;

/** Splits a bundle into its entries. Null for what is none. */
export function parseBundle(b) {
  const out = [];
  for (let at = 0; at < b.length;) {
    const n = (b[at] << 8) | b[at + 1];
    if (at + 2 + n > b.length || out.length >= 256) return null;
    out.push(b.subarray(at + 2, at + 2 + n));
    at += 2 + n;
  }
  return out;
}

/** The file at path, or the full one if the partial one is gone: [path, bytes]. Bytes are null if neither is there. */
async function either(fetch, path, full) {
  try { return [path, await fetch(path)]; } catch { /* the full one may be there */ }
  if (path !== full) {
    try { return [full, await fetch(full)]; } catch { /* neither */ }
  }
  return [path, null];
}

/** One entry as the ledger stores it, without proof: its checkpoint does not vouch for it until walk has. */
export async function readEntry(fetch, index, size) {
  const n = Math.floor(index / 256);
  const [path, data] = await either(fetch, bundlePath(n, Math.min(size - n * 256, 256)), bundlePath(n));
  if (!data) unknown("missing", `${path} cannot be read`);
  return parseBundle(data)?.[index % 256] ?? fail("tile", `${path} is not a bundle that holds entry ${index}`);
}

/**
 * Checks a whole ledger. fetch(path) returns a Promise of bytes; options may have
 * previous (an opened checkpoint), cell, entry(index, bytes) and progress(done, size).
 * Returns {checkpoint, entries, bundles, tiles}.
 */
export async function walk(fetch, logVkey, policyText, options = {}) {
  // 1. The signed tree head.
  let raw;
  try { raw = await fetch("checkpoint"); } catch { unknown("missing", "the checkpoint cannot be read"); }
  const cp = await openCheckpoint(raw, logVkey, policyText);
  const prev = options.previous, size = Number(cp.size);
  if (prev && prev.size > cp.size) fail("forked", `checkpoint of ${cp.size} entries is older than the one of ${prev.size}`);
  const report = { checkpoint: cp, entries: 0, bundles: 0, tiles: 0 };
  const levels = []; // hashes of the tile at the right edge of each level
  let missing = null;

  const compare = async (level, index, hashes) => {
    const [path, data] = await either(fetch, tilePath(level, index, hashes.length), tilePath(level, index));
    if (!data) { missing ??= path; return; }
    const want = path === tilePath(level, index, hashes.length) ? hashes.length * 32 : 8192;
    if (data.length !== want) fail("tile", `${path} is ${data.length} bytes, not ${want}`);
    hashes.forEach((h, i) => {
      if (same(data.subarray(32 * i, 32 * i + 32), h)) return;
      const span = 256 ** level, first = (index * 256 + i) * span;
      fail("tile", level === 0 ? `${path} does not match the entries it covers, first at entry ${first}`
        : `${path} does not match the entries it covers, first at entries ${first} to ${first + span - 1}`);
    });
    report.tiles++;
  };
  const root = () => {
    const roots = [];
    for (const rest of levels.toReversed()) {
      let at = 0;
      for (let w = 128; w > 0; w /= 2) {
        if (rest.length & w) { roots.push(treeRoot(rest.slice(at, at + w))); at += w; }
      }
    }
    return roots.length === 0 ? NOTHING : roots.reduceRight((right, left) => nodeHash(left, right));
  };

  // 2. Every entry, and every full tile above it.
  const last = {}; // hash of the newest leaf of each kind, which the next one must name
  let broken = null; // what is wrong with leaves; that a file is not what it must be is worse
  for (let index = 0; index * 256 < size; index++) {
    const width = Math.min(size - index * 256, 256);
    const [path, data] = await either(fetch, bundlePath(index, width), bundlePath(index));
    if (!data) unknown("missing", `${path} cannot be read`);
    const bundle = parseBundle(data);
    if (!bundle || bundle.length < width || (bundle.length > width && path === bundlePath(index, width))) fail("tile", `${path} is not a bundle of ${width} entries`);
    report.bundles++;
    for (const e of bundle.slice(0, width)) {
      const h = leafHash(e);
      for (let level = 0, up = h; ; level++) {
        (levels[level] ??= []).push(up);
        if (levels[level].length < 256) break;
        await compare(level, Math.floor((report.entries + 1) / 256 ** (level + 1)) - 1, levels[level]);
        up = treeRoot(levels[level]);
        levels[level] = [];
      }
      if (options.cell) broken ??= checkChain(last, report.entries, e, h, options.cell);
      options.entry?.(report.entries, e);
      report.entries++;
      if (prev && Number(prev.size) === report.entries && !same(prev.root, root())) fail("forked", `the log does not extend the earlier checkpoint of ${prev.size} entries`);
    }
    options.progress?.(report.entries, size);
  }

  // 3. The partial tiles at the right edge. 4. The root.
  for (const [level, hashes] of levels.entries()) {
    if (hashes.length > 0) await compare(level, Math.floor(size / 256 ** (level + 1)), hashes);
  }
  if (!same(root(), cp.root)) fail("root", `the ${size} entries do not make the root of the checkpoint`);
  if (broken) fail("leaf", broken);
  if (missing) unknown("missing", `${missing} cannot be read`);
  return report;
}

/** Every leaf but those of cases names the one of its kind before it, or repeats it. Returns what is wrong, or null. */
function checkChain(last, index, entry, hash, cell) {
  const leaf = decodeLeaf(entry);
  if (!leaf) return `entry ${index} of the ledger is not a leaf`;
  if (leaf.cell !== cell) return `entry ${index} of the ledger is of cell ${leaf.cell}, not ${cell}`;
  if (leaf.kind === "case") return null;
  const before = last[leaf.kind];
  if (before && same(before, hash)) return null;
  last[leaf.kind] = hash;
  return same(leaf.prev, before ?? new Uint8Array(32)) ? null : `the ${leaf.kind} leaf at entry ${index} does not name the one before it`;
}
