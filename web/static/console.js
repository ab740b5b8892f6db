// Pages work without this script but for passkeys and signatures, which only a
// browser can make. It adds: signing, and changes that come by themselves.

// Changes that come by themselves. A stream of the server says that something
// changed. A page that names it in data-live-on is then asked for again, and its
// content is put in place of the old one, unless somebody is at work in it.
const url = document.body.dataset.live;
const every = 5000; // ms between two looks at the page
const patience = 15 * 60 * 1000; // ms without a hand at the page, after which it rests: a session is not kept alive by a forgotten tab

let stream = null;
let due = false; // something changed since the page was read
let reading = false;
let last = 0; // when the page was read
let touched = Date.now();
let said = null;

const marks = () => document.querySelector('main [data-live-on]');

function say(words) {
  if (!said) {
    said = document.createElement('p');
    said.className = 'visually-hidden';
    said.setAttribute('role', 'status');
    document.body.append(said);
  }
  said.textContent = '';
  setTimeout(() => { said.textContent = words; }, 50);
}

// busy tells whether a change would take something out of somebody's hands.
function busy() {
  const main = document.querySelector('main');
  const at = document.activeElement;
  if (at && main.contains(at) && at.matches('input, select, textarea, [contenteditable]')) return true;
  if (main.querySelector('dialog[open]')) return true;
  const selected = document.getSelection();
  if (selected && !selected.isCollapsed && main.contains(selected.anchorNode)) return true;
  return [...main.querySelectorAll('input, textarea, select')].some((f) => {
    if (f.type === 'hidden') return false;
    if (f.type === 'checkbox' || f.type === 'radio') return f.checked !== f.defaultChecked;
    if (f.options) return [...f.options].some((o) => o.selected !== o.defaultSelected) && [...f.options].some((o) => o.defaultSelected);
    return f.value !== f.defaultValue;
  });
}

// places of the focus and of what is folded open, to find them again: from the
// nearest element that has a name, or from the top.
function pathOf(el, top) {
  const path = [];
  for (; el && el !== top; el = el.parentElement) {
    if (el.id) return [el.id, ...path];
    path.unshift([...el.parentElement.children].indexOf(el));
  }
  return el ? path : null;
}

const follow = (path, top) => path && path.reduce((el, i) => el && (typeof i === 'string' ? document.getElementById(i) : el.children[i]), top);

// The page as it came: scripts change what stands in the document.
let came = document.querySelector('main')?.innerHTML;

function swap(fresh) {
  const main = document.querySelector('main');
  const at = document.activeElement;
  const focus = main.contains(at) && at !== main ? pathOf(at, main) : null;
  const open = [...main.querySelectorAll('details[open]')].map((d) => pathOf(d, main));
  if (came === fresh.innerHTML) return false;
  came = fresh.innerHTML;
  main.replaceChildren(...fresh.childNodes);
  document.dispatchEvent(new CustomEvent('bonded:changed')); // for other scripts of the page
  for (const p of open) follow(p, main)?.setAttribute('open', '');
  const again = follow(focus, main);
  if (again && again.tagName === at.tagName) again.focus({ preventScroll: true });
  return true;
}

async function look() {
  const mark = marks();
  if (!mark || !due || reading || document.hidden || busy() || Date.now() - last < every) return;
  reading = true;
  try {
    const answer = await fetch(location.href, { headers: { Accept: 'text/html' }, credentials: 'same-origin', cache: 'no-store' });
    last = Date.now();
    if (!answer.ok || answer.redirected || !(answer.headers.get('Content-Type') || '').startsWith('text/html')) { stop(); return; }
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
    const fresh = page.querySelector('main');
    if (!fresh || busy()) return;
    due = false;
    const words = mark.dataset.liveChanged || '';
    if (swap(fresh)) say(words);
  } catch {
    last = Date.now(); // no connection: the stream begins again by itself
  } finally {
    reading = false;
  }
}

function stop() {
  if (stream) stream.close();
  stream = null;
}

function start() {
  if (stream || document.hidden || !marks()) return;
  stream = new EventSource(url);
  let known = null;
  const heard = (event) => {
    const now = JSON.parse(event.data);
    const on = (marks()?.dataset.liveOn || '').split(' ');
    if (known && on.some((name) => now[name] !== known[name])) due = true;
    known = now;
  };
  stream.addEventListener('begin', (event) => {
    const before = known;
    heard(event);
    if (before === null && last > 0) due = true; // it rested: who knows
  });
  stream.addEventListener('change', heard);
  stream.addEventListener('end', () => {
    stop();
    const words = marks()?.dataset.liveEnded;
    if (words) say(words);
  });
}

if (url && 'EventSource' in window && marks()) {
  last = Date.now();
  for (const name of ['pointerdown', 'keydown', 'focusin', 'scroll']) {
    addEventListener(name, () => { touched = Date.now(); start(); }, { passive: true, capture: true });
  }
  document.addEventListener('visibilitychange', () => { if (document.hidden) stop(); else { touched = Date.now(); start(); } });
  addEventListener('pagehide', stop);
  setInterval(() => {
    if (Date.now() - touched > patience) stop(); else look();
  }, 1000);
  start();
}
