// Keeps the portal for reading offline. VERSION, KEEP, MORE and ASSETS stand
// before this. It answers for the files of this portal alone, and for none of
// the ledger: what is checked there must be what is there now.
const CACHE = "bonded-portal-" + VERSION;
const scope = self.registration.scope;
const known = new Set([...KEEP, ...MORE]);

self.addEventListener("install", (event) => {
  // What is not of this portal need not wait for this worker to say so.
  event.addRoutes?.({ condition: { not: { urlPattern: scope + "*" } }, source: "network" })?.catch(() => {});
  event.waitUntil(caches.open(CACHE).then((c) => c.addAll(KEEP.map((p) => new Request(scope + p, { cache: "reload" })))).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  event.waitUntil(caches.keys()
    .then((names) => Promise.all(names.filter((n) => n.startsWith("bonded-portal-") && n !== CACHE).map((n) => caches.delete(n))))
    .then(() => self.clients.claim()));
});

self.addEventListener("fetch", (event) => {
  const url = event.request.url.split("#")[0].split("?")[0];
  let file = url.startsWith(scope) ? url.slice(scope.length) : null;
  if (file !== null && (file === "" || file.endsWith("/"))) file += "index.html";
  if (event.request.method !== "GET" || file === null || !known.has(file)) return;
  event.respondWith(file.startsWith(ASSETS) ? kept(file).then((r) => r ?? fetch(event.request)) : newest(event.request, file));
});

const kept = async (file) => (await caches.open(CACHE)).match(scope + file);

// newest asks the server first, and answers with what was kept when there is none.
async function newest(request, file) {
  try {
    const r = await fetch(request);
    if (r.ok && MORE.includes(file)) await (await caches.open(CACHE)).put(scope + file, r.clone());
    return r;
  } catch (e) {
    const r = await kept(file);
    if (r) return r;
    throw e;
  }
}
