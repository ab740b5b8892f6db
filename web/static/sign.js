// Passkeys and signatures, which only a browser can make. Four things are done
// here: somebody enrols, somebody signs in, somebody signs a decision, somebody
// confirms an act on a person.
//
// A person signs by an Ed25519 key whose seed, 32 bytes, exists in the open only
// in this page and only while it is used. The console keeps it sealed:
//
//   secret  = the passkey's PRF of a salt (WebAuthn extension "prf")
//   key     = HKDF-SHA256(secret, no salt, info), 256 bits
//   wrapped = nonce of 12 bytes, AES-256-GCM(key, nonce, seed, info)
//   info    = lp("bonded/console/wrap/1", cell, person)
//
// where lp puts before each part its length in 8 bytes, as everywhere in Bonded.
// The secret and the seed are never sent. Everything that is sent is in post().

const text = (s) => new TextEncoder().encode(s);

function concat(...parts) {
  const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  parts.reduce((at, p) => (out.set(p, at), at + p.length), 0);
  return out;
}

function lp(...parts) {
  return concat(...parts.flatMap((p) => {
    const b = typeof p === "string" ? text(p) : p;
    const n = new Uint8Array(8);
    new DataView(n.buffer).setBigUint64(0, BigInt(b.length));
    return [n, b];
  }));
}

const sha256 = async (b) => new Uint8Array(await crypto.subtle.digest("SHA-256", b));

function base64(b) {
  let s = "";
  for (const x of new Uint8Array(b)) s += String.fromCharCode(x);
  return btoa(s);
}
const base64url = (b) => base64(b).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const bytes = (s) => Uint8Array.from(atob(s.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));

// The signing key. WebCrypto takes a seed inside of PKCS #8 (RFC 8410) only.
const pkcs8 = (seed) => concat(bytes("MC4CAQAwBQYDK2VwBCIEIA=="), seed);

async function publicKey(seed) {
  const key = await crypto.subtle.importKey("pkcs8", pkcs8(seed), "Ed25519", true, ["sign"]);
  return bytes((await crypto.subtle.exportKey("jwk", key)).x);
}

async function sign(seed, message) {
  const key = await crypto.subtle.importKey("pkcs8", pkcs8(seed), "Ed25519", false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("Ed25519", key, message));
}

// Sealing the seed.
const info = (cell, person) => lp("bonded/console/wrap/1", cell, person);

async function wrapping(secret, cell, person) {
  const base = await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveKey"]);
  return crypto.subtle.deriveKey(
    { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(0), info: info(cell, person) },
    base, { name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
}

async function wrap(seed, secret, cell, person) {
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const key = await wrapping(secret, cell, person);
  const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData: info(cell, person) }, key, seed);
  return concat(iv, new Uint8Array(sealed));
}

async function unwrap(wrapped, secret, cell, person) {
  const key = await wrapping(secret, cell, person);
  const iv = wrapped.slice(0, 12);
  return new Uint8Array(await crypto.subtle.decrypt({ name: "AES-GCM", iv, additionalData: info(cell, person) }, key, wrapped.slice(12)));
}

// Passkeys. What they say is sent without their secret.
const secretOf = (credential) => {
  const first = credential.getClientExtensionResults().prf?.results?.first;
  return first ? new Uint8Array(first) : null;
};

function outward(c) {
  const r = c.response;
  const response = { clientDataJSON: base64url(r.clientDataJSON) };
  if (r.attestationObject) {
    response.attestationObject = base64url(r.attestationObject);
    response.transports = r.getTransports?.() ?? [];
  } else {
    response.authenticatorData = base64url(r.authenticatorData);
    response.signature = base64url(r.signature);
    if (r.userHandle) response.userHandle = base64url(r.userHandle);
  }
  return { id: c.id, rawId: base64url(c.rawId), type: c.type, response, clientExtensionResults: {} };
}

const withBytes = (list) => (list ?? []).map((c) => ({ ...c, id: bytes(c.id) }));

// create makes a passkey and returns it with its secret, or null if it can make
// none. Some make the secret only when they are used, so that they are used once
// more.
async function create(options, salt) {
  const credential = await navigator.credentials.create({ publicKey: {
    ...options, challenge: bytes(options.challenge), user: { ...options.user, id: bytes(options.user.id) },
    excludeCredentials: withBytes(options.excludeCredentials), extensions: { prf: { eval: { first: salt } } },
  } });
  let secret = secretOf(credential);
  if (!secret && credential.getClientExtensionResults().prf?.enabled) {
    const again = await navigator.credentials.get({ publicKey: {
      challenge: crypto.getRandomValues(new Uint8Array(32)), rpId: options.rp.id, userVerification: "required",
      allowCredentials: [{ type: "public-key", id: credential.rawId }], extensions: { prf: { eval: { first: salt } } },
    } });
    secret = secretOf(again);
  }
  return { credential, secret };
}

// use asks for one of the passkeys there are, and opens the signing key with it.
async function use(options, keys, cell, person) {
  const evalByCredential = Object.fromEntries(keys.map((k) => [k.id.replaceAll("=", ""), { first: bytes(k.salt) }]));
  const credential = await navigator.credentials.get({ publicKey: {
    ...options, challenge: bytes(options.challenge), allowCredentials: withBytes(options.allowCredentials), extensions: { prf: { evalByCredential } },
  } });
  const secret = secretOf(credential);
  const key = keys.find((k) => k.id.replaceAll("=", "") === credential.id);
  if (!secret || !key) throw new Told(words.noPrf);
  try {
    return { credential, seed: await unwrap(bytes(key.wrapped), secret, cell, person) };
  } catch {
    throw new Told(words.noUnwrap);
  } finally {
    secret.fill(0);
  }
}

// What goes wrong is shown in its place, in the reader's words.
class Told extends Error {}
class Refused extends Error {
  constructor(problem) { super(problem.message); this.problem = problem; }
}

const words = document.getElementById("sign-words")?.dataset ?? {};

async function post(path, body) {
  const headers = { Accept: "application/json" };
  const token = document.querySelector("input[name=form]")?.value;
  if (token) headers["Bonded-Form"] = token;
  if (!(body instanceof FormData)) {
    headers["Content-Type"] = "application/json";
    body = JSON.stringify(body);
  }
  let answer, result;
  try {
    answer = await fetch(path, { method: "POST", headers, body, credentials: "same-origin", redirect: "error" });
    result = await answer.json();
  } catch {
    throw new Told(words.offline);
  }
  if (!answer.ok) throw new Refused(result);
  return result;
}

function tell(box, error) {
  box.replaceChildren();
  box.hidden = !error;
  if (!error) return;
  const add = (tag, s, cls, lang) => {
    if (!s) return;
    const e = document.createElement(tag);
    e.textContent = s;
    if (cls) e.className = cls;
    if (lang) e.lang = lang;
    box.append(e);
  };
  if (error instanceof Refused) {
    const p = error.problem;
    add("strong", p.title);
    if (p.message !== p.title) add("p", p.field && !p.lang ? `${p.field}: ${p.message}` : p.message, "", p.lang);
    add("p", p.hint, "", p.lang);
    add("p", p.foot, "small");
    mark(box, p.at);
  } else if (error.name === "NotAllowedError" || error.name === "AbortError") {
    add("strong", words.cancelled);
  } else {
    add("strong", error instanceof Told ? error.message : words.failed);
    if (!(error instanceof Told)) add("p", String(error.message || error));
  }
  box.scrollIntoView({ block: "nearest" });
}

// mark says of the field that is meant that it is wrong, until it is changed.
function mark(box, name) {
  const form = box.closest("form");
  const found = name ? form?.elements.namedItem(name) : null;
  const field = found instanceof RadioNodeList ? found[0] : found;
  if (!field || field.type === "hidden") return;
  field.setAttribute("aria-invalid", "true");
  form.addEventListener("input", () => field.removeAttribute("aria-invalid"), { once: true });
}

// run does what a button starts: once at a time, and says how it ended.
function run(form, work) {
  const box = form.querySelector(".problem");
  const button = form.querySelector("button[type=submit]");
  button.disabled = false;
  form.addEventListener("submit", async (e) => {
    e.preventDefault();
    if (button.disabled) return;
    button.disabled = true;
    form.setAttribute("aria-busy", "true");
    tell(box, null);
    try {
      if (form.dataset.origin && form.dataset.origin !== location.origin) throw new Told(words.otherOrigin);
      if (!window.PublicKeyCredential || !crypto.subtle) throw new Told(words.noPasskeys);
      await work(form);
    } catch (error) {
      tell(box, error);
    }
    form.removeAttribute("aria-busy");
    button.disabled = false;
  });
}

// Signing in: the passkey says who it is.
function signIn(form) {
  run(form, async () => {
    const { ceremony, options } = await post("/console/sign-in/begin", {});
    const credential = await navigator.credentials.get({ publicKey: { ...options, challenge: bytes(options.challenge), allowCredentials: withBytes(options.allowCredentials) } });
    const { next } = await post("/console/sign-in/finish", { ceremony, credential: outward(credential), next: form.dataset.next });
    location.assign(next);
  });
}

// A seed comes from the person's key file, which is read here and not sent, or
// is made now.
async function seedOf(form, cell, person) {
  if (new FormData(form).get("source") !== "file") return crypto.getRandomValues(new Uint8Array(32));
  const file = form.querySelector("input[type=file]").files[0];
  if (!file) throw new Told(words.noFile);
  let key;
  try {
    key = JSON.parse(await file.text());
  } catch {
    throw new Told(words.notKeyFile);
  }
  if (key.format !== "bonded/person-key/1") throw new Told(words.notKeyFile);
  if (key.sealed) throw new Told(words.sealedFile);
  if (key.person !== person || key.cell !== cell) throw new Told(words.otherFile);
  const seed = bytes(key.key);
  if (seed.length !== 32) throw new Told(words.notKeyFile);
  return seed;
}

// make makes a passkey and seals the seed under it. One that has no secret keeps
// no key; if that is allowed, it is for reading, and the seed is only used to
// show that its owner is the one who enrols.
async function make(begun, seed, cell, person, reads = false) {
  const { credential, secret } = await create(begun.options, bytes(begun.salt));
  if (!secret && !reads) throw new Told(words.noPrf);
  const wrapped = secret ? await wrap(seed, secret, cell, person) : new Uint8Array(0);
  secret?.fill(0);
  const proof = await sign(seed, lp("bonded/console/enrol/1", cell, person, bytes(begun.nonce), new Uint8Array(credential.rawId), await sha256(wrapped)));
  return { ceremony: begun.ceremony, credential: outward(credential), wrapped: base64(wrapped), key: base64(await publicKey(seed)), proof: base64(proof) };
}

function enrol(form) {
  const { code, cell, person } = form.dataset;
  run(form, async () => {
    const name = new FormData(form).get("name");
    const seed = await seedOf(form, cell, person);
    const kept = new FormData(form).get("source") === "file"; // elsewhere too, so that it is not lost
    try {
      const begun = await post("/console/enrol/begin", { code });
      const done = await post("/console/enrol/finish", { code, name, ...(await make(begun, seed, cell, person, kept)) });
      form.hidden = true;
      const page = document.getElementById("enrolled");
      page.hidden = false;
      document.getElementById("enrolled-key").textContent = done.key;
      document.getElementById("enrolled-public").textContent = done.public;
      document.getElementById("enrolled-reads").hidden = !done.reads;
      for (const e of page.querySelectorAll("[data-state]")) e.hidden = e.dataset.state !== done.state;
      page.focus();
    } finally {
      seed.fill(0);
    }
  });
}

// Another passkey for the same signing key: one that there is opens it.
function addPasskey(form) {
  const { cell, person } = form.dataset;
  run(form, async () => {
    const name = new FormData(form).get("name");
    const begun = await post("/console/settings/passkeys/begin", {});
    const { credential, seed } = await use(begun.confirm, begun.keys, cell, person);
    try {
      const made = await make(begun, seed, cell, person);
      const { next } = await post("/console/settings/passkeys/finish", { name, confirm: outward(credential), ...made });
      location.assign(next);
    } finally {
      seed.fill(0);
    }
  });
}

// An act on a person that a passkey confirms: the form goes with its answer.
function confirmAct(form) {
  run(form, async () => {
    const { ceremony, options } = await post(form.dataset.confirm, {});
    const answer = await navigator.credentials.get({ publicKey: { ...options, challenge: bytes(options.challenge), allowCredentials: withBytes(options.allowCredentials) } });
    for (const [name, value] of Object.entries({ ceremony, credential: JSON.stringify(outward(answer)) })) {
      const field = form.elements.namedItem(name) ?? form.appendChild(Object.assign(document.createElement("input"), { type: "hidden", name }));
      field.value = value;
    }
    HTMLFormElement.prototype.submit.call(form); // without asking again
  });
}

// A decision: the console drafts it, this page looks whether it is the one that
// is shown, its author confirms it by passkey, and only then it is signed.
const decisionLabel = "bonded/decision/1";

function decide(form) {
  const shown = form.dataset;
  run(form, async () => {
    const draft = await post(form.getAttribute("action"), new FormData(form));
    const body = bytes(draft.body);
    const said = JSON.parse(new TextDecoder().decode(body));
    for (const name of ["format", "case", "person", "action", "state", "number"]) {
      const want = name === "format" ? decisionLabel : shown[name];
      if (String(said[name]) !== want) throw new Told(words.otherDraft);
    }
    if (!(await confirm(draft, said))) return;
    const { credential, seed } = await use(draft.options, draft.keys, shown.cell, shown.person);
    try {
      const value = await sign(seed, lp("bonded/statement/1", decisionLabel, shown.person, await sha256(body)));
      const statement = { body: draft.body, signatures: [{ signer: shown.person, value: base64(value) }] };
      const { next } = await post(shown.decide, { ceremony: draft.ceremony, credential: outward(credential), statement });
      location.assign(next);
    } finally {
      seed.fill(0);
    }
  });
}

// confirm shows what will be signed, in words and as it stands.
function confirm(draft, said) {
  const dialog = document.getElementById("confirm");
  dialog.querySelector("h2").textContent = draft.title;
  const list = dialog.querySelector("dl");
  list.replaceChildren();
  for (const { name, text: value } of draft.summary) {
    const dt = document.createElement("dt");
    const dd = document.createElement("dd");
    dt.textContent = name;
    dd.textContent = value;
    list.append(dt, dd);
  }
  dialog.querySelector("pre").textContent = JSON.stringify(said, null, 2);
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((done) => dialog.addEventListener("close", () => done(dialog.returnValue === "sign"), { once: true }));
}

// Forms come again when console.js puts a newer page in the place of this one.
const bound = new WeakSet();
function bind() {
  for (const form of document.querySelectorAll("form[data-sign]")) {
    if (bound.has(form)) continue;
    bound.add(form);
    ({ "sign-in": signIn, enrol, "add-passkey": addPasskey, decide, confirm: confirmAct })[form.dataset.sign](form);
  }
}
bind();
document.addEventListener("bonded:changed", bind);
