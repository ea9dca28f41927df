// What the TypeScript client costs, beside bare supabase-js and beside opossum and cockatiel, in one run. Prints one line of JSON.
//   node measure.mjs <the client, bundled> <rounds>
import { createServer } from "node:http";
import { once } from "node:events";
import { Worker, isMainThread, parentPort, workerData } from "node:worker_threads";
import { createClient } from "@supabase/supabase-js";
import { circuitBreaker, ConsecutiveBreaker, handleAll, SamplingBreaker, timeout, TimeoutStrategy, wrap } from "cockatiel";
import Opossum from "opossum";

const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];

/** A far end on another thread: writes are answered 201, the breakers' snapshot with a closed one. It counts what it is asked. */
async function serve() {
  const asked = new Int32Array(workerData.asked);
  const snapshot = JSON.stringify({ breakers: [{ name: "shared", state: "closed", allows: "all", remaining_ms: 0, version: 7, ramp: 1 }] });
  const server = createServer((request, response) => {
    request.resume().on("end", () => {
      Atomics.add(asked, 0, 1);
      const read = request.method === "GET";
      response.writeHead(read ? 200 : 201, { "content-type": "application/json", etag: '"7"' }).end(read ? snapshot : request.url.endsWith("/acquire") ? '{"allowed":true,"token":null}' : "");
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  parentPort.postMessage(server.address().port);
}

/** Milliseconds of `calls` calls, bare and ours by turns: medians of each, and of the differences within a turn. */
async function overhead(url, client, calls) {
  const supabase = createClient(url, "key", { auth: { persistSession: false, autoRefreshToken: false }, realtime: { transport: class {} } });
  const db = client.createResilientDb(supabase);
  const ways = { bare: () => supabase.from("t").insert({ a: 1, b: "x" }), ours: () => db.insert("t", { a: 1, b: "x" }) };
  const times = { bare: [], ours: [], more: [] };
  for (let n = 0; n < calls; n++) {
    const took = {};
    for (const way of n % 2 ? ["bare", "ours"] : ["ours", "bare"]) {
      const began = performance.now();
      const { error } = await ways[way]();
      if (error) throw error;
      took[way] = performance.now() - began;
    }
    if (n < calls / 5) continue;
    for (const way in took) times[way].push(took[way]);
    times.more.push(took.ours - took.bare);
  }
  return Object.fromEntries(Object.entries(times).map(([name, values]) => [name, median(values)]));
}

/** Microseconds a call, the median of many short pieces taken by turns; the bare call is among the ways. */
async function closed(ways, pieces, size) {
  const times = Object.fromEntries(Object.keys(ways).map((name) => [name, []]));
  for (let piece = 0; piece < pieces; piece++) {
    for (const [name, call] of Object.entries(ways)) {
      const began = performance.now();
      for (let n = 0; n < size; n++) await call();
      if (piece > pieces / 10) times[name].push(((performance.now() - began) / size) * 1000);
      await new Promise(setImmediate); // what goes over the wire gets its turn
    }
  }
  return Object.fromEntries(Object.entries(times).map(([name, values]) => [name, median(values)]));
}

async function main(bundle, rounds) {
  const asked = new SharedArrayBuffer(4);
  const worker = new Worker(new URL(import.meta.url), { workerData: { asked } });
  const [port] = await once(worker, "message");
  const url = `http://127.0.0.1:${port}`;
  const client = await import(bundle);
  const cost = await overhead(url, client, 400 * rounds);
  const work = async () => 1;
  const alone = new client.CircuitBreakerRegistry(null);
  const shared = new client.CircuitBreakerRegistry({ url, key: "key" });
  const limited = new Opossum(work, { timeout: 30_000 });
  const unlimited = new Opossum(work, { timeout: false });
  const policy = circuitBreaker(handleAll, { halfOpenAfter: 60_000, breaker: new ConsecutiveBreaker(5) });
  const sampling = circuitBreaker(handleAll, { halfOpenAfter: 60_000, breaker: new SamplingBreaker({ threshold: 0.5, duration: 60_000 }) });
  const both = wrap(timeout(30_000, TimeoutStrategy.Aggressive), circuitBreaker(handleAll, { halfOpenAfter: 60_000, breaker: new ConsecutiveBreaker(5) }));
  const guarded = { shared: shared.getBreaker("shared", { callTimeout: Infinity }), timed: shared.getBreaker("shared-timed") };
  await guarded.shared.execute(work);
  const before = Atomics.load(new Int32Array(asked), 0);
  const began = performance.now();
  const plain = await closed({
    bare: work,
    "ours, shared": () => guarded.shared.execute(work),
    "ours, alone": ((breaker) => () => breaker.execute(work))(alone.getBreaker("alone", { callTimeout: Infinity })),
    opossum: () => unlimited.fire(),
    "cockatiel, consecutive": () => policy.execute(work),
    "cockatiel, sampling": () => sampling.execute(work),
  }, 40 * rounds, 400);
  const timed = await closed({
    bare: work,
    "ours, shared": () => guarded.timed.execute(work),
    opossum: () => limited.fire(),
    cockatiel: () => both.execute(work),
  }, 20 * rounds, 400);
  const requests = Atomics.load(new Int32Array(asked), 0) - before;
  console.log(JSON.stringify({ cost, plain, timed, requests, seconds: (performance.now() - began) / 1000, calls: 60 * rounds * 400 }));
  await worker.terminate();
  limited.shutdown();
  unlimited.shutdown();
}

await (isMainThread ? main(process.argv[2], Number(process.argv[3] ?? 5)) : serve());
