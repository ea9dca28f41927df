// Breakers: alone while the gateway is away, together when it is there; a clock that is ours.
import test from "node:test";
import { CircuitBreakerRegistry, type MendgateError } from "../src/mod.ts";
import { assert, connection, nowhere, silent, until } from "./stage.ts";

let time = 1_000_000;
const clock = () => time;
const fails = () => Promise.reject(new Error("down"));
const name = (what: string) => `ts-${what}-${crypto.randomUUID().slice(0, 8)}`;

test("the fallback answers where the call fails, and the breaker opens", async () => {
  const breaker = new CircuitBreakerRegistry(null, clock).getBreaker("a", { failureThreshold: 3, timeout: 1000 });
  let calls = 0;
  for (let n = 0; n < 10; n++) assert.equal(await breaker.execute(() => (calls++, fails()), () => "instead"), "instead");
  assert.deepEqual([calls, breaker.state], [3, "open"]);
});
test("without a fallback the call's own error is thrown, then that it is open and for how long", async () => {
  const breaker = new CircuitBreakerRegistry(null, clock).getBreaker("a", { failureThreshold: 1, timeout: 1000 });
  await assert.rejects(breaker.execute(fails), /down/);
  await assert.rejects(breaker.execute(fails), (error: MendgateError) => error.kind === "open" && error.retryAfterMs! > 0 && error.hint !== null);
});
test("after its time one trial goes, and what comes of it decides", async () => {
  const breaker = new CircuitBreakerRegistry(null, clock).getBreaker("a", { failureThreshold: 1, timeout: 1000 });
  await breaker.execute(fails, () => 0);
  time += 1300;
  let release = (_: string) => {};
  const trial = breaker.execute(() => new Promise<string>((wake) => (release = wake)));
  assert.equal(await breaker.execute(() => "second", () => "instead"), "instead");
  release("well");
  assert.equal(await trial, "well");
  assert.equal(await breaker.execute(() => "again"), "again");
  await breaker.execute(fails, () => 0);
  time += 1300;
  await breaker.execute(fails, () => 0); // the trial fails: open for twice as long
  time += 1300;
  assert.equal(await breaker.execute(() => "too early", () => "instead"), "instead");
  time += 1300;
  assert.equal(await breaker.execute(() => "well"), "well");
});
test("few failures among many calls do not open it", async () => {
  const breaker = new CircuitBreakerRegistry(null, clock).getBreaker("a", { failureThreshold: 5 });
  for (let n = 0; n < 20; n++) await breaker.execute(() => 1);
  for (let n = 0; n < 19; n++) await breaker.execute(fails, () => 0);
  assert.equal(breaker.state, "closed");
  await breaker.execute(fails, () => 0);
  assert.equal(breaker.state, "open");
});
test("failures of more than a minute ago are forgotten", async () => {
  const breaker = new CircuitBreakerRegistry(null, clock).getBreaker("a", { failureThreshold: 2 });
  await breaker.execute(fails, () => 0);
  time += 61_000;
  await breaker.execute(fails, () => 0);
  assert.equal(breaker.state, "closed");
});
test("what is the caller's own fault counts nowhere and gives the trial back", async () => {
  const breaker = new CircuitBreakerRegistry(null, clock).getBreaker("a", { failureThreshold: 1, timeout: 1000 });
  const mine = () => Promise.reject(Object.assign(new Error("bad request"), { status: 400 }));
  await assert.rejects(breaker.execute(mine), /bad request/);
  await assert.rejects(breaker.execute(() => Promise.reject(new DOMException("stop", "AbortError"))), /stop/);
  assert.equal(breaker.state, "closed");
  await breaker.execute(fails, () => 0);
  time += 1300;
  await assert.rejects(breaker.execute(mine), /bad request/);
  assert.equal(await breaker.execute(() => "well"), "well");
});
test("an answer of 5xx is a failure, one of 4xx is the caller's", async () => {
  const breaker = new CircuitBreakerRegistry(null, clock).getBreaker("a", { failureThreshold: 2 });
  const answer = (status: number) => () => Promise.resolve(new Response("x", { status }));
  assert.equal((await breaker.execute(answer(404), () => new Response("instead"))).status, 404);
  assert.equal(await (await breaker.execute(answer(503), () => new Response("instead"))).text(), "instead");
  assert.equal(await (await breaker.execute(answer(429), () => new Response("instead"))).text(), "instead");
  assert.equal(breaker.state, "closed");
  assert.equal((await breaker.execute(answer(500))).status, 500);
  assert.equal(breaker.state, "open");
});
test("a call that hangs is cut, its signal aborts, and the fallback answers", async () => {
  const breaker = new CircuitBreakerRegistry(null).getBreaker("a", { callTimeout: 30, failureThreshold: 1 });
  let aborted = false;
  const hangs = (signal: AbortSignal) => new Promise<string>(() => signal.addEventListener("abort", () => (aborted = true)));
  assert.equal(await breaker.execute(hangs, (error) => error.message), "a did not answer within 30 ms");
  assert.deepEqual([aborted, breaker.state], [true, "open"]);
});
test("with the gateway away calls go through, are counted here, and nobody waits long", async () => {
  const registry = new CircuitBreakerRegistry(nowhere);
  const breaker = registry.getBreaker("a", { failureThreshold: 2 });
  for (let n = 0; n < 50; n++) assert.equal(await breaker.execute(() => n), n);
  const far = await silent();
  const hanging = new CircuitBreakerRegistry({ ...nowhere, url: far.url });
  const began = Date.now();
  for (let n = 0; n < 5; n++) await hanging.getBreaker("a").execute(() => n);
  assert.ok(Date.now() - began < 10_000);
  far.close();
  for (let n = 0; n < 50; n++) await breaker.execute(fails, () => 0);
  assert.equal(breaker.state, "open");
  await registry.flush();
});
test("a gateway that answers nonsense changes nothing", async () => {
  for (const answer of [() => new Response("<html>"), () => new Response("{}", { status: 500 }), () => new Response('{"breakers":null}')]) {
    const registry = new CircuitBreakerRegistry({ ...nowhere, fetch: () => Promise.resolve(answer()) });
    assert.equal(await registry.getBreaker("a").execute(() => "well"), "well");
  }
});
test("what two isolates see opens it for a third, which has seen nothing", async () => {
  const which = name("shared");
  const isolates = [1, 2].map(() => new CircuitBreakerRegistry(connection));
  const settings = { failureThreshold: 4, timeout: 60_000 };
  for (let n = 0; n < 3; n++) for (const each of isolates) await each.getBreaker(which, settings).execute(fails, () => 0);
  await until(async () => {
    for (const each of isolates) await each.flush(); // a busy machine may take longer than they wait: what failed is sent again
    return (await stateOf(which)) === "open";
  });
  await until(async () => {
    const third = new CircuitBreakerRegistry(connection).getBreaker(which);
    return (await third.execute(() => "called", () => "instead")) === "instead";
  });
});
test("a trial asks for a permit, and its success closes the breaker for all", async () => {
  const which = name("trial");
  const settings = { failureThreshold: 2, timeout: 300 };
  const registry = new CircuitBreakerRegistry(connection);
  for (let n = 0; n < 2; n++) await registry.getBreaker(which, settings).execute(fails, () => 0);
  await until(async () => (await registry.flush(), (await stateOf(which)) !== undefined && (await stateOf(which)) !== "closed"));
  await until(async () => {
    const fresh = new CircuitBreakerRegistry(connection);
    const answer = await fresh.getBreaker(which, settings).execute(() => "well", () => "instead");
    await fresh.flush();
    return answer === "well" && (await stateOf(which)) === "closed";
  });
});
test("successes are sampled and weighed: what the gateway counts is about what there was", async () => {
  const which = name("sampled");
  const registry = new CircuitBreakerRegistry(connection);
  for (let n = 0; n < 4000; n++) await registry.getBreaker(which).execute(() => n);
  await until(async () => (await registry.flush(), (await callsOf(which)) > 0));
  assert.ok((await callsOf(which)) <= 4600);
});
test("what is reported after the response goes through waitUntil where there is one", async () => {
  const promised: Promise<unknown>[] = [];
  Object.assign(globalThis, { EdgeRuntime: { waitUntil: (work: Promise<unknown>) => promised.push(work) } });
  const which = name("after");
  const registry = new CircuitBreakerRegistry(connection);
  await registry.getBreaker(which).execute(fails, () => 0);
  Object.assign(globalThis, { EdgeRuntime: undefined });
  assert.ok(promised.length > 0);
  await Promise.all(promised);
  await until(async () => (await registry.flush(), (await callsOf(which)) === 1));
});
test("a name that the gateway does not take is counted here, and stops sharing for no other", async () => {
  const registry = new CircuitBreakerRegistry(connection);
  const [odd, ours, which] = ["mail/odd", "ai:small", name("beside")];
  for (const each of [odd, ours]) assert.equal(await registry.getBreaker(each).execute(() => "well"), "well");
  await new Promise((wake) => setTimeout(wake, 300)); // what was said of their names has come
  await registry.getBreaker(which).execute(fails, () => 0);
  await registry.flush();
  assert.equal(await callsOf(which), 1);
});
test("breakers can be made where nothing may be drawn or asked yet, as at the top of a worker", () => {
  const { random } = Math;
  const { randomUUID } = crypto;
  const forbidden = () => { throw new Error("Disallowed operation called within global scope"); };
  Object.assign(Math, { random: forbidden });
  Object.defineProperty(crypto, "randomUUID", { value: forbidden, configurable: true, writable: true });
  try {
    assert.equal(new CircuitBreakerRegistry().connect(connection).getBreaker("top").state, "closed");
  } finally {
    Object.assign(Math, { random });
    Object.defineProperty(crypto, "randomUUID", { value: randomUUID, configurable: true, writable: true });
  }
});

async function one(which: string): Promise<{ state: string; calls: number } | null> {
  const answer = await fetch(`${connection.url}/api/v1/breakers/${which}`, { headers: { apikey: connection.key } });
  return answer.ok ? await answer.json() : (await answer.body?.cancel(), null);
}
const stateOf = async (which: string) => (await one(which))?.state;
const callsOf = async (which: string) => (await one(which))?.calls ?? 0;
