// The worker of a requester's page: it holds the open key file, and ending it
// forgets everything. It runs the program that the page names, and answers its
// calls one by one.

let ready;

async function load({ program, exec }) {
  importScripts(exec);
  const go = new Go();
  const packed = await fetch(program);
  if (!packed.ok) throw new Error(`the program: ${packed.status}`);
  const stream = packed.body.pipeThrough(new DecompressionStream('gzip'));
  const wasm = await new Response(stream).arrayBuffer();
  const { instance } = await WebAssembly.instantiate(wasm, go.importObject);
  go.run(instance);
}

onmessage = async ({ data }) => {
  if (data.name === 'load') {
    ready = load(data);
    try {
      await ready;
      postMessage({ id: data.id, answer: 'true' });
    } catch (e) {
      postMessage({ id: data.id, error: JSON.stringify({ code: 'internal', message: String(e.message ?? e) }) });
    }
    return;
  }
  await ready;
  postMessage({ id: data.id, ...bondedOfficer(data.name, data.args, data.body ?? null) });
};
