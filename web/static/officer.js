// The pages of a requester. Everything is signed, checked and opened by the
// program in the worker; this script shows it and asks the API. Nothing is
// stored: leaving the page, or leaving it alone, forgets everything.

const meta = (name) => document.querySelector(`meta[name="${name}"]`)?.content ?? '';
const $ = (id) => document.getElementById(id);
const cell = meta('bonded-cell');
const idle = 15 * 60 * 1000;
const maxDocument = 16 * 1024 * 1024;
const maxShown = 500; // rows of a package
let shown = null; // the case as it was shown: what is signed names its state
let formReady = false;

const [words, law] = await Promise.all([meta('bonded-words'), meta('bonded-rules')].map(async (u) => (await fetch(u, { credentials: 'omit' })).json()));

// ---- Words. A value may hold anything: it is text, never markup.

const has = (key) => Object.hasOwn(words, key);
function t(key, values = {}) {
  return (words[key] ?? key).replace(/\{([a-z_]+)\}/g, (all, name) => (name in values ? String(values[name]) : all));
}
const or = (key, other) => (has(key) ? words[key] : other);
const lang = document.documentElement.lang;
const when = (s) => (s ? new Date(s).toLocaleString(lang, { dateStyle: 'medium', timeStyle: 'short', timeZone: 'UTC' }) + ' UTC' : '–');
const count = (n) => Number(n).toLocaleString(lang);

// clean takes out what would let a text look like another one.
const clean = (s) => String(s ?? '').replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, '\ufffd');

// ---- Elements.

function h(tag, attributes = {}, ...kids) {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(attributes)) {
    if (k.startsWith('on')) e.addEventListener(k.slice(2), v);
    else if (v === true) e.setAttribute(k, '');
    else if (v !== false && v != null) e.setAttribute(k, v);
  }
  e.append(...kids.flat(9).filter((k) => k != null && k !== false));
  return e;
}
const said = (s) => h('bdi', {}, clean(s));
const facts = (...pairs) => h('dl', { class: 'facts' }, pairs.filter(Boolean).map(([k, ...v]) => [h('dt', {}, k), h('dd', {}, ...v)]));
const card = (title, ...kids) => h('section', { class: 'card stack' }, h('h2', {}, title), ...kids);
const mark = (kind, text) => h('span', { class: `badge ${kind}` }, text);

// show puts a message in a place of the page, or takes it away.
function show(place, kind, title, ...kids) {
  place.replaceChildren();
  place.hidden = !title;
  if (!title) return;
  place.className = `notice ${kind}`;
  place.setAttribute('role', kind === 'bad' ? 'alert' : 'status');
  place.append(h('strong', {}, title), ...kids.flat(9).filter(Boolean));
}

// ---- What went wrong: as the API and the program say it.

class Problem extends Error {
  constructor(p) {
    super(p.message ?? '');
    this.p = p;
  }
}

async function problemOf(r) {
  let p = {};
  try {
    p = await r.json();
  } catch {
    p = { code: 'busy', message: `${r.status} ${r.statusText}` };
  }
  return new Problem(p);
}

const asProblem = (e) => (e instanceof Problem ? e.p : { code: 'busy', message: String(e?.message ?? e) });

const pathWords = (path) => {
  const last = path.replace(/\[\d+\]/g, '').split('.').pop();
  return or(`f.${last}`, path);
};

function explain(place, e, field = true) {
  const p = asProblem(e);
  const reject = (p.rules ?? []).map((r) => or(`reject.${r}`, '')).find(Boolean);
  const foreign = lang.startsWith('en') ? {} : { lang: 'en' };
  show(
    place, 'bad', or(`code.${p.code}`, t('code.other')),
    reject && h('p', {}, t('because', { reason: reject })),
    p.message && h('p', foreign, clean(p.message)),
    field && p.field && h('p', {}, t('at_field', { field: pathWords(clean(p.field)) })),
    p.hint && h('p', foreign, clean(p.hint)),
    h('p', { class: 'small soft' }, [p.code, ...(p.rules ?? []), p.request_id].filter(Boolean).map(clean).join(' · ')),
  );
}

// ---- The worker: it alone has the key.

const me = { worker: null, calls: new Map(), last: 0, loaded: null, person: '', entry: null, agency: null, timer: 0, since: 0 };

function begin() {
  me.worker = new Worker(meta('bonded-worker'));
  me.worker.onmessage = ({ data }) => {
    const call = me.calls.get(data.id);
    me.calls.delete(data.id);
    if (!call) return;
    if (data.error) call.no(new Problem(JSON.parse(data.error)));
    else call.yes(JSON.parse(data.answer));
  };
  me.worker.onerror = (e) => {
    for (const c of me.calls.values()) c.no(new Problem({ code: 'internal', message: e.message }));
    me.calls.clear();
  };
  me.loaded = send({ name: 'load', program: meta('bonded-program'), exec: meta('bonded-exec') });
  $('program-state').textContent = t('program.loading');
  me.loaded.then(
    () => { $('program-state').textContent = t('program.ready'); document.body.dataset.program = 'ready'; },
    () => { $('program-state').textContent = t('program.failed'); $('program-missing').hidden = false; document.body.dataset.program = 'failed'; },
  );
}

function send(message, transfer = []) {
  return new Promise((yes, no) => {
    me.calls.set(++me.last, { yes, no });
    me.worker.postMessage({ ...message, id: me.last }, transfer);
  });
}

async function compute(name, args = {}, body = null) {
  await me.loaded;
  return send({ name, args: JSON.stringify(args), body });
}

const bytes = (text) => new TextEncoder().encode(text);

// forget ends the worker, and with it the key and all that was opened.
function forget(why) {
  me.worker?.terminate();
  for (const c of me.calls.values()) c.no(new Problem({ code: 'unauthenticated', message: '' }));
  me.calls.clear();
  Object.assign(me, { worker: null, person: '', entry: null, agency: null, since: 0 });
  shown = null;
  formReady = false;
  clearTimeout(me.timer);
  for (const u of urls.splice(0)) URL.revokeObjectURL(u);
  for (const id of ['who', 'cases-list', 'case-body', 'package-result']) $(id).replaceChildren();
  for (const f of document.querySelectorAll('form')) f.reset();
  for (const r of document.querySelectorAll('[data-row]')) r.remove();
  $('keys-made').hidden = true;
  $('tabs').hidden = true;
  if (why) {
    $('locked-note').hidden = false;
    begin();
    location.hash = '#/start';
    route();
  }
}

function awake() {
  if (!me.person || slept()) return;
  me.since = Date.now();
  clearTimeout(me.timer);
  me.timer = setTimeout(() => forget(true), idle);
}

// slept forgets if the time is over that no timer saw: machines sleep.
function slept() {
  const over = me.person && me.since && Date.now() - me.since > idle;
  if (over) forget(true);
  return over;
}
document.addEventListener('visibilitychange', slept);
for (const e of ['pointerdown', 'keydown']) addEventListener(e, awake, { passive: true });
addEventListener('pagehide', () => forget(false));
addEventListener('pageshow', (e) => { if (e.persisted) location.reload(); });

// ---- The API of the front door.

async function api(method, path, body = null, type = '') {
  const proof = await compute('sign', { person: me.person, cell, method, path }, body);
  const headers = { 'Bonded-Person': proof };
  if (type) headers['Content-Type'] = type;
  const r = await fetch(path, { method, headers, body, credentials: 'omit', cache: 'no-store', redirect: 'error' });
  if (!r.ok) throw await problemOf(r);
  return r;
}
const get = async (path) => (await api('GET', path)).json();
const post = async (path, value) => (await api('POST', path, bytes(JSON.stringify(value)), 'application/json')).json();

async function digest(buffer) {
  const sum = new Uint8Array(await crypto.subtle.digest('SHA-256', buffer));
  return Array.from(sum, (b) => b.toString(16).padStart(2, '0')).join('');
}

const urls = [];
function fileLink(id, name, type, content, text, kind = '') {
  const u = URL.createObjectURL(new Blob([content], { type }));
  urls.push(u);
  return h('a', { id, class: `btn ${kind}`, href: u, download: name }, text);
}

// ---- One view at a time.

const views = { start: null, keys: null, cases: showCases, file: showForm, case: showCase };

async function route() {
  const [, name = 'start', id = ''] = location.hash.split('/');
  let view = Object.hasOwn(views, name) ? name : 'start';
  if (!me.person && view !== 'keys') view = 'start';
  if (me.person && view === 'start') view = 'cases';
  for (const v of document.querySelectorAll('[data-view]')) v.hidden = v.dataset.view !== view;
  for (const a of document.querySelectorAll('[data-tab]')) {
    if (a.dataset.tab === view || (view === 'case' && a.dataset.tab === 'cases')) a.setAttribute('aria-current', 'page');
    else a.removeAttribute('aria-current');
  }
  const title = document.querySelector(`[data-view="${view}"] h1`);
  if (title) document.title = `${title.textContent} · Bonded`;
  await views[view]?.(decodeURIComponent(id));
}
addEventListener('hashchange', () => { $('content').focus(); route(); });

// busy keeps a button from being pressed twice while something runs.
async function busy(button, run) {
  button.disabled = true;
  try {
    return await run();
  } finally {
    button.disabled = false;
  }
}

// ---- Opening a key file, making one.

const complain = (id, text) => {
  const input = $(id), error = $(`${id}-error`);
  error.hidden = !text;
  error.textContent = text ?? '';
  if (text) input.setAttribute('aria-invalid', 'true');
  else input.removeAttribute('aria-invalid');
  return !text;
};

$('open-form').addEventListener('submit', (e) => {
  e.preventDefault();
  busy($('open-key'), async () => {
    show($('open-problem'));
    const file = $('f-key_file').files[0], person = $('f-officer').value.trim();
    const ok = [complain('f-key_file', file ? '' : t('needed')), complain('f-officer', person ? '' : t('needed'))].every(Boolean);
    if (!ok) {
      document.querySelector('#open-form [aria-invalid]').focus();
      return;
    }
    try {
      if (file.size > 16384) throw new Problem({ code: 'bad_config', message: '' });
      await compute('open', { file: await file.text() }, bytes($('f-passphrase').value));
      me.person = person;
      await known();
      $('open-form').reset();
      $('locked-note').hidden = true;
      $('tabs').hidden = false;
      awake();
      location.hash = '#/cases';
      await route();
    } catch (err) {
      me.person = '';
      explain($('open-problem'), err);
    }
  });
});

// known reads the officer's own entries of the register.
async function known() {
  const list = await get('/v1/register');
  const body = (s) => JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(s.body), (c) => c.charCodeAt(0))));
  const newest = (kind) => list.entries.filter((e) => e.kind === kind && e.state === 'in_force').sort((a, b) => b.version - a.version)[0]
    ?? list.entries.filter((e) => e.kind === kind).sort((a, b) => b.version - a.version)[0];
  const person = newest('person'), agency = newest('agency');
  me.entry = person ? { ...body(person.statement), state: person.state } : null;
  me.agency = agency ? { ...body(agency.statement), state: agency.state } : null;
  if (!me.entry || me.entry.role !== 'requester') throw new Problem({ code: 'forbidden', message: 'only officers of agencies file requests here', hint: 'operators use the console' });
}

$('keys-form').addEventListener('submit', (e) => {
  e.preventDefault();
  busy($('make-keys'), async () => {
    show($('keys-problem'));
    const p = $('f-new_passphrase').value;
    const ok = [complain('f-new_passphrase', p.length >= 12 ? '' : t('keys.short')), complain('f-again', p === $('f-again').value ? '' : t('keys.differ'))].every(Boolean);
    if (!ok) {
      document.querySelector('#keys-form [aria-invalid]').focus();
      return;
    }
    try {
      const k = await compute('keygen', {}, bytes(p));
      $('keys-form').reset();
      for (const [id, content] of [['download-key', k.file], ['download-public', k.public]]) {
        const u = URL.createObjectURL(new Blob([content], { type: 'application/json' }));
        urls.push(u);
        $(id).href = u;
      }
      $('keys-digest').textContent = k.recipient;
      $('keys-made').hidden = false;
      $('download-key').focus();
    } catch (err) {
      explain($('keys-problem'), err);
    }
  });
});

// ---- My cases.

const stateWords = (s) => or(`state.${s}`, s);
const processWords = (id) => or(`process.${id}`, law.processes.find((p) => p.id === id)?.title ?? id);
const final = ['closed', 'rejected', 'withdrawn', 'lapsed'];
const tone = (s) => (s === 'delivered' || s === 'ratified' ? 'good' : s === 'rejected' || s === 'lapsed' || s === 'unratified' ? 'bad' : ['draft', 'clarification', 'narrowed'].includes(s) ? 'warn' : 'info');
const owed = (v) => (v.documents ?? []).filter((d) => !d.uploaded);
const can = (v, action) => (v.actions ?? []).includes(action);
const expired = (v) => v.expires && new Date(v.expires) <= new Date();

// asked says what the officer has to do, and whether it is theirs to do.
function asked(v) {
  if (final.includes(v.state) && !v.package) return t('ask.over');
  if (v.state === 'draft' && owed(v).length) return t('ask.documents');
  if (can(v, 'accept')) return t('ask.accept');
  if (can(v, 'answer')) return t('ask.answer');
  if (v.package) return expired(v) ? t('ask.expired') : t('ask.package');
  if (v.state === 'emergency_opened') return t('ask.paper');
  return final.includes(v.state) ? t('ask.over') : t('ask.wait');
}

function showWho() {
  const p = me.entry, a = me.agency;
  $('who').replaceChildren(facts(
    [t('who.officer'), said(p.name), ' · ', h('code', {}, clean(p.id))],
    [t('who.agency'), said(a?.name ?? p.agency), a ? ` · ${clean(a.country)} · ` : '', a ? mark(a.trust === 'verified' ? 'good' : 'warn', or(`trust.${a.trust}`, a.trust)) : ''],
    [t('who.level'), `${p.level}: ${or(`level.${p.level}`, '')}`],
  ), h('p', {}, h('button', { type: 'button', id: 'forget', onclick: () => { forget(false); begin(); location.hash = '#/start'; route(); } }, t('forget'))));
}

async function showCases() {
  showWho();
  const place = $('cases-list');
  show($('cases-problem'));
  try {
    const rows = [];
    let list, after = '';
    do {
      list = await get('/v1/cases' + (after ? `?after=${encodeURIComponent(after)}` : ''));
      rows.push(...list.cases);
      after = list.next ?? '';
    } while (after && rows.length < 2000);
    rows.reverse();
    place.replaceChildren(rows.length ? table(
      t('cases.caption', { n: count(rows.length) }),
      [t('col.case'), t('col.process'), t('col.state'), t('col.filed'), t('col.deadline'), t('col.asked')],
      rows.map((v) => [
        h('a', { href: `#/case/${v.case}` }, h('code', {}, v.case)), processWords(v.process), mark(tone(v.state), stateWords(v.state)),
        when(v.filed), when(v.deadline), asked(v),
      ]),
    ) : h('div', { class: 'empty' }, h('p', {}, t('cases.none'))));
  } catch (err) {
    place.replaceChildren();
    explain($('cases-problem'), err);
  }
}
$('cases-refresh').addEventListener('click', (e) => busy(e.currentTarget, showCases));

function table(caption, head, rows, attributes = {}) {
  return h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': caption }, h('table', { class: 'cards', ...attributes },
    h('caption', {}, caption),
    h('thead', {}, h('tr', {}, head.map((c) => h('th', { scope: 'col' }, c)))),
    h('tbody', {}, rows.map((r) => h('tr', {}, r.map((c, i) => h('td', { 'data-label': head[i] }, h('span', {}, c))))))));
}

// ---- One case.

async function showCase(id) {
  if (shown?.case !== id) {
    $('case-body').replaceChildren();
    $('package-result').replaceChildren();
  }
  show($('case-problem'));
  try {
    shown = await get(`/v1/cases/${encodeURIComponent(id)}`);
    $('case-body').replaceChildren(...parts(shown).filter(Boolean));
  } catch (err) {
    shown = null;
    $('case-body').replaceChildren();
    explain($('case-problem'), err);
  }
}
$('case-refresh').addEventListener('click', (e) => busy(e.currentTarget, () => showCase(location.hash.split('/')[2])));

function parts(v) {
  return [
    card(t('case.now'),
      h('p', {}, mark(tone(v.state), stateWords(v.state)), ' ', or(`state_text.${v.state}`, '')),
      h('p', { id: 'case-asked', 'data-state': v.state }, h('strong', {}, asked(v))),
      facts(
        [t('col.case'), h('code', {}, v.case)],
        [t('col.process'), processWords(v.process), ' · ', t(`priority.${v.priority}`)],
        [t('col.filed'), when(v.filed)],
        [t('col.deadline'), when(v.deadline)],
        v.reject_code && [t('case.refused'), or(`reject.${v.reject_code}`, v.reject_code), ' ', h('code', {}, clean(v.reject_code))],
        v.secrecy && [t('case.secrecy'), or(`secrecy_state.${v.secrecy.state}`, v.secrecy.state), v.secrecy.until ? ` · ${t('case.until', { time: when(v.secrecy.until) })}` : ''],
      )),
    question(v), documents(v), release(v), tasks(v), timeline(v), withdrawal(v),
  ];
}

function tasks(v) {
  return card(t('case.tasks'), table(t('case.tasks'), [t('f.task_kind'), t('f.data_class'), t('f.collection'), t('f.fields_wanted'), t('f.max_subjects'), t('col.state')],
    v.tasks.map((k) => [
      or(`task.${k.kind}`, k.kind), or(`class.${k.data_class}`, k.data_class), h('code', {}, clean(k.collection)), (k.fields_wanted ?? []).map(clean).join(', ') || '–', count(k.max_subjects),
      [or(`task_state.${k.status}`, k.status), k.reason ? `: ${or(`reject.${k.reason}`, clean(k.reason))}` : '', k.matched ? ` · ${t('case.matched', { n: count(k.matched) })}` : ''],
    ])));
}

function timeline(v) {
  return card(t('case.timeline'), h('ol', { class: 'timeline' }, v.entries.map((e) => h('li', { class: 'done' },
    h('div', {}, or(`event.${e.event}`, e.event), e.state ? `: ${stateWords(e.state)}` : ''),
    h('div', { class: 'when' }, when(e.time), ' · ', e.index == null ? t('case.not_yet') : t('case.entry', { n: count(e.index) })),
    e.leaf && h('div', { class: 'small soft' }, h('code', {}, clean(e.leaf)))))));
}

// act signs a decision on the case as it was shown, and hands it in.
async function act(action, reason, place) {
  try {
    const s = await compute('decide', { case: shown.case, person: me.person, action, state: shown.state, number: shown.number, reason });
    await post(`/v1/cases/${shown.case}/decisions`, s);
    await showCase(shown.case);
    $('content').focus();
  } catch (err) {
    explain(place, err);
  }
}

function question(v) {
  if (!can(v, 'answer') && !can(v, 'accept')) return null;
  const place = h('div', { hidden: true });
  let offered = [];
  try {
    offered = JSON.parse(v.extra?.offered ?? '[]');
  } catch { /* nothing is offered that can be read */ }
  const lines = offered.map((o) => h('li', {}, t('case.task', { n: o.task + 1 }), ': ', [
    o.code && t('case.task_refused', { reason: or(`reject.${o.code}`, clean(o.code)) }),
    o.fields_wanted && t('case.task_fields', { fields: o.fields_wanted.map(clean).join(', ') }),
    o.max_subjects && t('case.task_people', { n: count(o.max_subjects) }),
    o.from && t('case.task_from', { time: when(o.from) }), o.to && t('case.task_to', { time: when(o.to) }),
  ].filter(Boolean).join('; ')));
  const text = h('textarea', { id: 'answer-text', rows: 4, maxlength: 4096 });
  return card(can(v, 'accept') ? t('case.offered') : t('case.question'),
    v.extra?.question && h('blockquote', {}, said(v.extra.question)),
    lines.length && h('ul', { id: 'offered' }, lines),
    place,
    can(v, 'accept') && h('p', {}, h('button', { id: 'accept', class: 'primary', type: 'button', onclick: (e) => busy(e.currentTarget, () => act('accept', '', place)) }, t('case.accept'))),
    can(v, 'answer') && h('form', {
      class: 'fields', novalidate: true, onsubmit: (e) => {
        e.preventDefault();
        if (text.value.trim()) busy(e.submitter, () => act('answer', text.value.trim(), place));
        else { show(place, 'bad', t('needed')); text.focus(); }
      },
    }, h('div', { class: 'field' }, h('label', { for: 'answer-text' }, t('case.answer')), h('span', { class: 'hint' }, t('case.answer_hint')), text),
    h('p', {}, h('button', { id: 'answer' }, t('case.answer_send')))));
}

function withdrawal(v) {
  if (!can(v, 'withdraw')) return null;
  const place = h('div', { hidden: true });
  const text = h('textarea', { id: 'withdraw-text', rows: 2, maxlength: 1024 });
  return h('details', { class: 'card' }, h('summary', {}, t('case.withdraw')), h('form', {
    class: 'fields', novalidate: true, onsubmit: (e) => {
      e.preventDefault();
      if (text.value.trim()) busy(e.submitter, () => act('withdraw', text.value.trim(), place));
      else { show(place, 'bad', t('needed')); text.focus(); }
    },
  }, place, h('div', { class: 'field' }, h('label', { for: 'withdraw-text' }, t('case.why')), h('span', { class: 'hint' }, t('case.withdraw_hint')), text),
  h('p', {}, h('button', { id: 'withdraw', class: 'danger' }, t('case.withdraw')))));
}

function documents(v) {
  const place = h('div', { hidden: true });
  const later = !final.includes(v.state) && v.state !== 'draft';
  const pick = (id, label, send) => {
    const input = h('input', { type: 'file', id });
    return h('form', { class: 'fields', onsubmit: (e) => { e.preventDefault(); busy(e.submitter, () => send(input.files[0])); } },
      h('div', { class: 'field' }, h('label', { for: id }, label), input), h('p', {}, h('button', {}, t('case.upload'))));
  };
  const upload = async (file, want) => {
    try {
      if (!file) throw new Problem({ code: 'invalid', message: '' });
      if (file.size > maxDocument) throw new Problem({ code: 'too_large', message: '' });
      const content = new Uint8Array(await file.arrayBuffer());
      const sum = await digest(content);
      if (want && sum !== want) {
        show(place, 'bad', t('case.other_file'), h('p', {}, t('case.other_file_hint')));
        return;
      }
      await api('POST', `/v1/cases/${v.case}/documents/${sum}`, content, 'application/octet-stream');
      await showCase(v.case);
    } catch (err) {
      explain(place, err);
    }
  };
  return card(t('case.documents'),
    (v.documents ?? []).length > 0 && h('ul', {}, v.documents.map((d, i) => h('li', {},
      d.name ? said(d.name) : t('case.later'), ' ', mark(d.uploaded ? 'good' : 'warn', d.uploaded ? t('case.there') : t('case.owed')), ' ', h('code', { class: 'small' }, clean(d.sha256)),
      !d.uploaded && !final.includes(v.state) && pick(`document-${i}`, t('case.choose_document'), (f) => upload(f, d.sha256))))),
    place,
    later && h('details', {}, h('summary', {}, t('case.more_document')), h('p', { class: 'soft' }, t('case.more_document_hint')), pick('document-later', t('case.choose_document'), (f) => upload(f, ''))));
}

// ---- The release package.

const checks = ['form', 'custodians', 'asker', 'scope', 'opening', 'items', 'receipts', 'recipient'];
const checkOf = {
  truncated: 'form', section: 'form', package: 'form', expired: 'form', cell: 'form', key: 'form', directory: 'form', malformed: 'form',
  custody: 'custodians', registry: 'asker', approval: 'scope', scope: 'scope', opening: 'opening', disclosed: 'receipts', combined: 'items', recipient: 'recipient',
};

function release(v) {
  if (!v.package) return null;
  const place = h('div', { hidden: true });
  const own = h('input', { type: 'file', id: 'package-directory' });
  const fetched = async () => new Uint8Array(await (await api('GET', `/v1/cases/${v.case}/package`)).arrayBuffer());
  const run = (f) => (e) => busy(e.currentTarget, async () => {
    show(place);
    try {
      await f();
    } catch (err) {
      explain(place, err);
    }
  });
  return card(t('package.title'),
    h('p', {}, expired(v) ? t('ask.expired') : t('package.until', { time: when(v.expires) })),
    facts([t('package.digest'), h('code', {}, clean(v.package))]),
    h('div', { class: 'row' },
      h('button', { id: 'package-open', class: 'primary', type: 'button', onclick: run(async () => openPackage(v, await fetched(), own.files[0])) }, t('package.open')),
      h('button', {
        id: 'package-download', type: 'button', onclick: run(async () => {
          const b = await fetched();
          if (await digest(b) !== v.package) throw new Problem({ code: 'altered', message: '' });
          const a = fileLink('', `${v.case}.bonded`, 'application/octet-stream', b, '');
          a.click();
          show(place, 'good', t('package.downloaded'), h('p', {}, t('package.downloaded_hint')));
        }),
      }, t('package.download'))),
    h('details', {}, h('summary', {}, t('package.own')), h('div', { class: 'field' }, h('label', { for: 'package-directory' }, t('package.directory')), h('span', { class: 'hint' }, t('package.directory_hint')), own)),
    place);
}

async function openPackage(v, body, own) {
  const result = $('package-result');
  result.replaceChildren();
  const directory = own ? await own.text() : await (await fetch('/v1/directory', { credentials: 'omit', cache: 'no-store' })).text();
  let p;
  try {
    p = await compute('unpack', { directory, digest: v.package, case: v.case }, body);
  } catch (err) {
    const failed = (err.p?.rules ?? []).map((r) => checkOf[r]).find(Boolean);
    const place = h('div', { id: 'package-refused' });
    explain(place, err);
    result.append(place, card(t('package.checks'), h('p', {}, t('package.nothing')), h('ul', { id: 'package-checks' }, checks.map((c) => h('li', {},
      c === failed ? mark('bad', t('check.failed')) : mark('', t('check.open')), ' ', t(`check.${c}.name`))))));
    return;
  }
  const values = {
    ...p, approvals: p.approvals.map((a) => `${clean(a.custodian)} (${or(`custodian_role.${a.role}`, clean(a.role))})`).join(', '), process: processWords(p.process),
    reference: clean(p.reference), expires: when(p.expires), witnessed: when(p.witnessed),
  };
  result.append(card(t('package.checks'),
    h('ul', { id: 'package-checks' }, checks.map((c) => h('li', {}, mark('good', t('check.holds')), ' ', t(`check.${c}`, values)))),
    p.dealt && h('p', { class: 'warn-text' }, t('check.dealt')),
    h('p', { class: 'soft' }, own ? t('package.by_own') : t('package.by_cell'))));
  result.append(card(t('package.values'),
    h('p', {}, t('package.copy', { copy: p.copy, released: count(p.released), refused: count(p.refused_items) })),
    h('div', { class: 'row' },
      fileLink('package-csv', `${v.case}.csv`, 'text/csv;charset=utf-8', p.csv, t('package.csv'), 'primary'),
      fileLink('package-json', `${v.case}.json`, 'application/json', p.json, t('package.json'))),
    h('p', { class: 'soft small' }, t('package.formulas')),
    p.rows.length > maxShown && h('p', { class: 'warn-text' }, t('package.first', { n: count(maxShown) })),
    table(t('package.values'), [t('col.item'), t('col.subject'), t('col.record'), ...p.fields, t('col.refused')],
      p.rows.slice(0, maxShown).map((r) => [
        String(r.item), h('code', {}, r.subject), h('code', {}, r.record),
        ...p.fields.map((f) => (r.values && f in r.values ? [h('bdi', { 'data-value': f }, clean(r.values[f])), r.matched?.includes(f) ? ` (${t('package.matched')})` : ''] : '–')),
        r.refused ? h('code', {}, clean(r.refused)) : '–',
      ]), { id: 'package-table' })));
}

// ---- Filing a request.

const form = $('file-form');

function showForm() {
  if (formReady) return;
  formReady = true;
  const powers = me.agency?.powers ?? [];
  fill($('f-authorisation-process_type'), law.processes.filter((p) => powers.includes(p.id) && !p.room_only).map((p) => [p.id, processWords(p.id)]));
  $('f-authorisation-jurisdiction').value = me.agency?.country ?? '';
  $('f-kind').value = 'disclosure';
  $('f-authorisation-priority').value = 'routine';
  for (const path of ['authorisation.legal_basis', 'authorisation.approvals', 'authorisation.documents', 'tasks']) addRow(form.querySelector(`[data-rows="${path}"]`));
  processChanged();
  priorityChanged();
}

function fill(select, options) {
  const was = select.value;
  while (select.options.length > 1) select.remove(1);
  select.append(...options.map(([value, text]) => h('option', { value }, text)));
  select.value = options.some(([v]) => v === was) ? was : '';
}

function addRow(rows) {
  const row = rows.querySelector(':scope > template').content.cloneNode(true).firstElementChild;
  rows.querySelector(':scope > [data-here]').append(row);
  for (const inner of row.querySelectorAll('[data-rows]')) addRow(inner);
  if (rows.dataset.key === 'task') row.querySelector('[data-field$=".max_subjects"] input').value = '1';
  number();
  processChanged();
  return row;
}

// number gives each row its place in the request, and its elements their ids.
function number() {
  for (const rows of form.querySelectorAll('[data-rows]')) {
    [...rows.querySelectorAll(':scope > [data-here] > [data-row]')].forEach((row, i) => {
      row.dataset.index = i;
      row.querySelector(':scope > legend [data-number]').textContent = i + 1;
    });
  }
  for (const field of form.querySelectorAll('[data-row] [data-field]')) {
    const id = idOf(pathOf(field)), input = control(field);
    const error = field.querySelector('.error'), hint = field.querySelector('.hint'), label = field.querySelector('label');
    error.id = `${id}-error`;
    if (!input) continue;
    input.id = id;
    label.htmlFor = id;
    if (hint) hint.id = `${id}-hint`;
    input.setAttribute('aria-describedby', `${hint ? `${id}-hint ` : ''}${id}-error`);
  }
}

const control = (field) => field.querySelector(':scope > input, :scope > select, :scope > textarea');
const idOf = (path) => 'f-' + path.replace(/[.[]/g, '-').replace(/\]/g, '');
function pathOf(field) {
  const at = [];
  for (let row = field.closest('[data-row]'); row; row = row.parentElement.closest('[data-row]')) at.unshift(row.dataset.index);
  let n = 0;
  return field.dataset.field.replace(/#/g, () => at[n++]);
}

form.addEventListener('click', (e) => {
  const add = e.target.closest('[data-add]'), remove = e.target.closest('[data-remove]');
  if (add) {
    const row = addRow(add.closest('[data-rows]'));
    row.querySelector('input, select, textarea')?.focus();
  }
  if (remove) {
    const rows = remove.closest('[data-rows]');
    remove.closest('[data-row]').remove();
    number();
    rows.querySelector(':scope > [data-add]').focus();
  }
});

form.addEventListener('change', (e) => {
  const t = e.target;
  if (t.dataset.part) form.querySelector(`[data-of="${t.dataset.part}"]`).hidden = !t.checked;
  if (t.id === 'f-authorisation-process_type') processChanged();
  if (t.id === 'f-authorisation-priority') priorityChanged();
  if (t.type === 'file') guessType(t);
});

const mediaTypes = { pdf: 'application/pdf', png: 'image/png', jpg: 'image/jpeg', jpeg: 'image/jpeg', tif: 'image/tiff', tiff: 'image/tiff', txt: 'text/plain', xml: 'application/xml', json: 'application/json' };
function guessType(input) {
  const row = input.closest('[data-row]'), file = input.files[0];
  const type = row?.querySelector('[data-field$=".media_type"] select');
  if (type && file) type.value = mediaTypes[file.name.split('.').pop().toLowerCase()] ?? '';
}

const chosen = () => law.processes.find((p) => p.id === $('f-authorisation-process_type').value);
const className = (id) => or(`class.${id}`, law.classes.find((c) => c.id === id)?.text ?? id);
const needName = (id) => or(`need.${id}`, law.approvals.find((a) => a.id === id)?.text ?? id);

function processChanged() {
  const p = chosen();
  const facts = $('process-facts');
  facts.hidden = !p;
  const classes = p && p.opens.length ? p.opens : law.classes.map((c) => c.id);
  for (const f of form.querySelectorAll('[data-field="tasks[#].data_class"]')) fill(control(f), classes.map((c) => [c, className(c)]));
  const roles = p ? [...new Set([...p.needs, ...p.needs_for.flatMap((n) => n.needs)].flatMap((n) => law.approvals.find((a) => a.id === n)?.met_by ?? []))] : [];
  for (const f of form.querySelectorAll('[data-field="authorisation.approvals[#].role"]')) fill(control(f), roles.map((r) => [r, or(`role.${r}`, r)]));
  $('approvals-needed').textContent = p ? t('file.needed', { needs: p.needs.map(needName).join('; ') }) + p.needs_for.map((n) => ' ' + t('file.needed_for', { classes: n.classes.map(className).join(', '), needs: n.needs.map(needName).join('; ') })).join('') : t('file.needed_none');
  if (!p) return;
  facts.replaceChildren(
    h('strong', {}, processWords(p.id)),
    h('p', { class: 'small', lang: 'en' }, p.instrument),
    h('p', {}, p.kind === 'preserve' ? t('file.preserves', { days: count(p.hold_days) }) : t('file.opens', { classes: p.opens.map(className).join('; ') })),
    h('p', {}, t('file.people', { n: count(p.people) }), ' ', p.window_days ? t('file.window', { n: count(p.window_days) }) : ''));
  const offence = $('part-offence');
  if (p.offence && !offence.checked) offence.click();
}

function priorityChanged() {
  const place = $('emergency-facts'), emergency = $('f-authorisation-priority').value === 'emergency';
  place.hidden = !emergency;
  if (!emergency) return;
  place.replaceChildren(
    h('strong', {}, t('emergency.title')),
    h('p', {}, t('emergency.call')),
    facts([t('emergency.phone'), said(me.entry?.phone || '–')], [t('emergency.switchboard'), said(me.agency?.switchboard || '–')]),
    h('p', {}, t('emergency.limits', { people: count(law.emergency.people), days: count(law.emergency.window_days), classes: law.emergency.classes.map(className).join('; ') })),
    h('p', {}, t('emergency.paper')),
    h('p', {}, law.levels.some((l) => l.level <= (me.entry?.level ?? 0) && l.allows.includes('emergency')) ? t('emergency.allowed') : t('emergency.forbidden')));
}

// put sets a member of the request by its path.
function put(into, path, value) {
  const steps = path.replace(/\[(\d+)\]/g, '.$1').split('.');
  let at = into;
  steps.forEach((s, i) => {
    if (i === steps.length - 1) at[s] = value;
    else at = at[s] ??= /^\d+$/.test(steps[i + 1]) ? [] : {};
  });
}

form.addEventListener('input', (e) => {
  const field = e.target.closest('[data-field]');
  if (!field) return;
  field.querySelector('.error').hidden = true;
  e.target.removeAttribute('aria-invalid');
});

const visible = (field) => !field.closest('[hidden]:not([data-view])');

// read makes the request of the form; missing lists the paths left empty.
async function read() {
  const r = { cell, officer: me.person, agency: me.entry.agency, authorisation: { flags: [], legal_basis: [], approvals: [], documents: [], linked: [] }, tasks: [] };
  const missing = [], files = [], docs = [];
  for (const field of form.querySelectorAll('[data-field]')) {
    const path = pathOf(field), input = control(field);
    if (!input || !visible(field)) continue;
    const value = input.value.trim();
    if (field.dataset.kind === 'file') {
      if (input.files[0]) files.push([path, input.files[0]]);
      else missing.push(path);
      continue;
    }
    if (!value) {
      if (field.dataset.optional !== 'true') missing.push(path);
      else if (path.endsWith('.fields_wanted')) put(r, path, []);
      continue;
    }
    if (field.dataset.kind === 'time') put(r, path, `${value}:00Z`);
    else if (field.dataset.kind === 'number') put(r, path, Number(value));
    else if (path.endsWith('.fields_wanted')) put(r, path, value.split(/[\s,，、]+/).filter(Boolean));
    else put(r, path, value);
  }
  const a = r.authorisation;
  for (const box of form.querySelectorAll('[data-flag]')) if (box.checked) a.flags.push(box.dataset.flag);
  if (a.priority === 'emergency') a.flags.push('emergency');
  if (a.secrecy) a.flags.push('secrecy_order');
  for (const [path, file] of files) {
    if (file.size > maxDocument) throw new Problem({ code: 'too_large', field: path, message: '' });
    const content = new Uint8Array(await file.arrayBuffer());
    const d = a.documents[Number(path.match(/\[(\d+)\]/)[1])] ?? {};
    docs.push({ content, doc: { sha256: await digest(content), media_type: d.media_type, language: d.language, name: file.name, size: file.size } });
  }
  a.documents = [];
  return { r, docs, missing };
}

// turned lists the ends that are not after their beginnings.
function turned(r) {
  const a = r.authorisation, out = [];
  const look = (path, from, to) => { if (from && to && to <= from) out.push(path); };
  look('authorisation.valid_to', a.valid_from, a.valid_to);
  look('authorisation.secrecy.until', a.secrecy?.from, a.secrecy?.until);
  look('authorisation.secrecy.review_at', a.secrecy?.from, a.secrecy?.review_at);
  r.tasks.forEach((k, i) => {
    look(`tasks[${i}].to`, k.from, k.to);
    look(`tasks[${i}].hold_until`, new Date().toISOString(), k.hold_until);
  });
  return out;
}

// mend shows what is wrong beside each question, and above all of them.
function mend(wrong) {
  for (const e of form.querySelectorAll('.error')) e.hidden = true;
  for (const e of form.querySelectorAll('[aria-invalid]')) e.removeAttribute('aria-invalid');
  const links = [];
  for (const { path, text } of wrong) {
    const field = fieldAt(path);
    if (!field) continue;
    const error = field.querySelector('.error'), input = control(field) ?? field.parentElement.querySelector('input, select, textarea, button');
    error.textContent = text;
    error.hidden = false;
    control(field)?.setAttribute('aria-invalid', 'true');
    input.id ||= idOf(path);
    const name = [field.querySelector('label')?.firstChild.textContent.trim() || pathWords(path)];
    for (let row = field.closest('[data-row]'); row; row = row.parentElement.closest('[data-row]')) name.unshift(row.querySelector(':scope > legend').textContent.trim());
    links.push(h('li', {}, h('a', { href: `#${input.id}`, onclick: (e) => { e.preventDefault(); input.focus(); } }, name.join(' · ')), text === t('needed') ? '' : `: ${text}`));
  }
  return links;
}

// fieldAt finds the question of a path, or the nearest that it is part of.
function fieldAt(path) {
  const all = new Map([...form.querySelectorAll('[data-field]')].filter(visible).map((f) => [pathOf(f), f]));
  for (let p = path; p; p = p.replace(/(\.[^.[]+|\[\d+\])$/, '')) {
    if (all.has(p)) return all.get(p);
    const inside = p === path && [...all.keys()].find((k) => k.startsWith(p + '.') || k.startsWith(p + '['));
    if (inside) return all.get(inside);
    if (!/[.[]/.test(p)) break;
  }
  return null;
}

form.addEventListener('submit', (e) => {
  e.preventDefault();
  busy($('file-send'), async () => {
    const place = $('file-errors'), state = $('file-state');
    show(place);
    mend([]);
    let filed = null;
    try {
      // 1. What is asked, all of it.
      const { r, docs, missing } = await read();
      const wrong = [...missing.map((path) => ({ path, text: t('needed') })), ...turned(r).map((path) => ({ path, text: t('turned') }))];
      if (wrong.length) {
        show(place, 'bad', t('file.incomplete', { n: count(wrong.length) }), h('ul', {}, mend(wrong)));
        place.focus();
        return;
      }
      // 2. Signed here, and handed in.
      state.textContent = t('file.signing');
      const s = await compute('file', { request: r, documents: docs.map((d) => d.doc) });
      filed = await post('/v1/cases', s);
      // 3. The documents that it names.
      for (const d of docs) {
        state.textContent = t('file.uploading', { name: clean(d.doc.name) });
        await api('POST', `/v1/cases/${filed.case}/documents/${d.doc.sha256}`, d.content, 'application/octet-stream');
      }
      form.reset();
      for (const row of form.querySelectorAll('[data-row]')) row.remove();
      for (const part of form.querySelectorAll('[data-of]')) part.hidden = true;
      formReady = false;
      location.hash = `#/case/${filed.case}`;
    } catch (err) {
      const p = asProblem(err);
      const links = p.field ? mend([{ path: p.field, text: (p.rules ?? []).map((c) => or(`reject.${c}`, '')).find(Boolean) || or(`code.${p.code}`, clean(p.message)) }]) : [];
      explain(place, err, !links.length);
      if (links.length) place.append(h('ul', {}, links));
      if (filed) place.append(h('p', {}, t('file.filed_without'), ' ', h('a', { href: `#/case/${filed.case}` }, filed.case)));
      place.focus();
    } finally {
      state.textContent = '';
    }
  });
});

// ---- Begin.

$('app').hidden = false;
if (meta('bonded-program')) {
  begin();
} else {
  $('program-missing').hidden = false;
  for (const id of ['open-key', 'make-keys']) $(id).disabled = true;
  document.body.dataset.program = 'missing';
}
await route();
