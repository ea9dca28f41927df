// What a function measures reaches the gateway's metrics, after the response.
import test from "node:test";
import { PerformanceMonitor } from "../src/mod.ts";
import { assert, connection, nowhere, until } from "./stage.ts";

test("what was measured is in the weekly numbers, by name", async () => {
  const monitor = new PerformanceMonitor().connect(connection);
  const name = `resize-${crypto.randomUUID().slice(0, 8)}`;
  for (let n = 0; n < 20; n++) monitor.record(name, 10);
  monitor.record(name, 400, { ok: false });
  assert.equal(await monitor.measure(name, () => "done"), "done");
  await assert.rejects(monitor.measure(name, () => Promise.reject(new Error("no"))), /no/);
  await until(async () => {
    await monitor.flush();
    return (await monitor.weekly()).edge[name]?.calls === 23;
  });
  const { errors, mean, p95 } = (await monitor.weekly()).edge[name];
  assert.equal(errors, 2);
  assert.ok(mean > 25 && mean < 40 && p95 >= 5 && p95 < 500, JSON.stringify({ mean, p95 }));
});
test("with the gateway away nothing breaks and names are bounded", async () => {
  const monitor = new PerformanceMonitor().connect(nowhere);
  for (let n = 0; n < 500; n++) monitor.record(`name ${n}`, 1);
  assert.ok(monitor.pending().length <= 51);
  await monitor.flush();
  await assert.rejects(monitor.weekly());
});
test("a gateway that refuses for now is told later", async () => {
  let answers = 0;
  const refusing = () => Promise.resolve(new Response("", { status: answers++ ? 202 : 503 }));
  const monitor = new PerformanceMonitor().connect({ ...nowhere, fetch: refusing });
  monitor.record("a", 3);
  await monitor.flush();
  assert.equal(monitor.pending()[0]?.count, 1);
  await monitor.flush();
  assert.deepEqual(monitor.pending(), []);
});
test("a flush tells what was recorded while another was under way", async () => {
  const told: string[] = [];
  const slow: typeof fetch = async (_, init) => (told.push(String(init?.body)), await new Promise((wake) => setTimeout(wake, 20)), new Response("", { status: 202 }));
  const monitor = new PerformanceMonitor().connect({ ...nowhere, fetch: slow });
  monitor.record("first", 1);
  const first = monitor.flush();
  await new Promise((wake) => setTimeout(wake, 5));
  monitor.record("second", 1);
  await Promise.all([first, monitor.flush()]);
  assert.deepEqual([monitor.pending(), told.length], [[], 2]);
});
test("a number that is none spoils nothing", () => {
  const monitor = new PerformanceMonitor().connect(nowhere);
  for (const ms of [NaN, -1, Infinity, 5]) monitor.record("odd", ms);
  assert.deepEqual([monitor.pending()[0]!.count, monitor.pending()[0]!.total_ms], [1, 5]);
});
