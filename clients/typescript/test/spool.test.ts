// Writes that wait on this machine while the gateway cannot be reached.
import test from "node:test";
import { createResilientDb, localSpool, type SpoolStorage } from "../src/mod.ts";
import { annToken, assert, client, keyless, losing, nowhere, sql } from "./stage.ts";

function memory(): SpoolStorage {
  const kept = new Map<string, string>();
  return { get: (k) => kept.get(k), set: (k, v) => void kept.set(k, v), delete: (k) => void kept.delete(k), keys: () => [...kept.keys()] };
}

test("writes wait while the gateway is away, and land once and in order when it is back", async () => {
  const spool = { storage: memory(), owner: "service" };
  const away = createResilientDb(client({ url: nowhere.url }), { retries: 0, spool });
  for (const note of ["first", "second", "third"]) {
    const { error, spooled, status } = await away.insert("visits", { note: `spool ${note}` });
    assert.deepEqual([error, spooled, status], [null, true, 202]);
  }
  assert.equal(await away.flushSpool(), 0);
  assert.equal((await away.spooled()).length, 3);
  const back = createResilientDb(client(), { spool });
  assert.equal((await back.insert("visits", { note: "spool fourth" })).spooled, false);
  assert.deepEqual((await sql("SELECT note FROM visits WHERE note LIKE 'spool %' ORDER BY id")).map((row) => row.note), [
    "spool first", "spool second", "spool third", "spool fourth",
  ]);
  assert.deepEqual(await back.spooled(), []);
});
test("a write that landed without an answer is not written twice by the spool", async () => {
  const spool = { storage: memory(), owner: "service" };
  const lost = createResilientDb(client({ fetch: losing(1) }), { retries: 0, spool });
  assert.equal((await lost.insert("visits", { note: "landed unheard" })).spooled, true);
  assert.equal(await lost.flushSpool(), 1);
  assert.deepEqual(await sql("SELECT count(*)::int AS n FROM visits WHERE note = 'landed unheard'"), [{ n: 1 }]);
});
test("a repeat is the same request, with what was asked back", async () => {
  const spool = { storage: memory(), owner: "service" };
  const lost = createResilientDb(client({ fetch: losing(1) }), { retries: 0, spool });
  assert.equal((await lost.insert("visits", { note: "asked back" }, { returning: "id" })).spooled, true);
  assert.deepEqual([await lost.flushSpool(), await lost.spooled(true)], [1, []]);
  assert.deepEqual(await sql("SELECT count(*)::int AS n FROM visits WHERE note = 'asked back'"), [{ n: 1 }]);
});
test("one owner's writes are never sent with another's rights", async () => {
  const storage = memory();
  await createResilientDb(client({ url: nowhere.url }), { retries: 0, spool: { storage, owner: "ann" } }).insert("visits", { note: "ann's" });
  const bob = createResilientDb(client(), { spool: { storage, owner: "bob" } });
  assert.deepEqual([await bob.flushSpool(), await bob.spooled()], [0, []]);
  assert.equal(await createResilientDb(client(), { spool: { storage, owner: "ann" } }).flushSpool(), 1);
});
test("what is refused later is set aside, not lost, and holds nothing up", async () => {
  const spool = { storage: memory(), owner: "service" };
  const away = createResilientDb(client({ url: nowhere.url }), { retries: 0, spool });
  await away.insert("visits", { id: 1, note: "taken" });
  await away.insert("visits", { note: "after the taken" });
  await sql("INSERT INTO visits (id, note) VALUES (1, 'here first')");
  const back = createResilientDb(client(), { spool });
  assert.equal(await back.flushSpool(), 1);
  const [aside] = await back.spooled(true);
  assert.match(aside!.why!, /^23505 /);
  assert.deepEqual(aside!.operation, { op: "insert", table: "visits", rows: { id: 1, note: "taken" } });
});
test("how far healing may go holds for a write that waited, too", async () => {
  const spool = { storage: memory(), owner: "service" };
  const away = createResilientDb(client({ url: nowhere.url }), { retries: 0, spool });
  await away.insert("people", { name: "Unhealed", email: "u@example.org" }, { healing: "off" });
  const back = createResilientDb(client(), { spool });
  assert.equal(await back.flushSpool(), 0);
  assert.match((await back.spooled(true))[0]!.why!, /^PGRST204 /);
  assert.deepEqual(await sql("SELECT count(*)::int AS n FROM people WHERE name = 'Unhealed'"), [{ n: 0 }]);
});
test("a right that is lacking holds the other writes of the spool up no more than any refusal", async () => {
  const spool = { storage: memory(), owner: "ann" };
  const away = createResilientDb(client({ url: nowhere.url }), { retries: 0, spool });
  await away.insert("diaries", { owner: "00000000-0000-4000-8000-000000000000", text: "not hers" });
  await away.insert("visits", { note: "behind the forbidden" });
  const ann = createResilientDb(client({ token: annToken }), { spool });
  assert.equal(await ann.flushSpool(), 1);
  assert.match((await ann.spooled(true))[0]!.why!, /^42501 /);
});
test("what the caller called off is not sent later", async () => {
  const db = createResilientDb(client({ url: nowhere.url }), { retries: 0, spool: { storage: memory(), owner: "x" } });
  const { error, spooled } = await db.insert("visits", { note: "called off" }, { signal: AbortSignal.abort() });
  assert.deepEqual([error?.kind, spooled, await db.spooled()], ["unknown", false, []]);
});
test("a full spool says so", async () => {
  const away = createResilientDb(client({ url: nowhere.url }), { retries: 0, spool: { storage: memory(), owner: "x", most: 1 } });
  await away.insert("visits", { note: "fits" });
  assert.equal((await away.insert("visits", { note: "does not" })).error?.code, "spool_full");
});
test("a refusal of now is not spooled", async () => {
  const db = createResilientDb(client(), { spool: { storage: memory(), owner: "service" } });
  assert.equal((await db.insert("nowhere", { id: 1 })).error?.code, "PGRST205");
  assert.deepEqual(await db.spooled(), []);
});
test("localStorage is a storage where there is one", () => {
  const local = localSpool();
  if (!local) return;
  local.set("mendgate:test", "1");
  assert.deepEqual([local.get("mendgate:test"), (local.keys() as string[]).includes("mendgate:test")], ["1", true]);
  local.delete("mendgate:test");
});
test("a write that had to go without a key and got no answer is set aside, never sent again", async () => {
  const spool = { storage: memory(), owner: "service" };
  await createResilientDb(client({ url: nowhere.url }), { retries: 0, spool }).insert("visits", { note: "keyless" });
  const back = createResilientDb(client({ fetch: keyless(1) }), { spool });
  assert.deepEqual([await back.flushSpool(), await back.flushSpool(), await back.spooled()], [0, 0, []]);
  assert.match((await back.spooled(true))[0]!.why!, /perhaps it was written/);
  assert.deepEqual(await sql("SELECT count(*)::int AS n FROM visits WHERE note = 'keyless'"), [{ n: 1 }]);
});
test("nothing overtakes what waits: neither a write without a key nor a transaction", async () => {
  const spool = { storage: memory(), owner: "service" };
  await createResilientDb(client({ url: nowhere.url }), { retries: 0, spool }).insert("visits", { note: "it waits" });
  const busy: typeof fetch = (input, init) =>
    init?.body?.toString().includes("it waits") ? Promise.resolve(new Response("{}", { status: 503 })) : fetch(input, init);
  const half = createResilientDb(client({ fetch: busy }), { retries: 0, spool });
  for (const answer of [
    await half.insert("visits", { note: "overtaking" }, { idempotencyKey: false }),
    await half.transaction([{ op: "insert", table: "visits", rows: [{ note: "overtaking" }] }]),
  ]) assert.deepEqual([answer.error?.code, answer.error?.kind], ["spool_waiting", "busy"]);
  const back = createResilientDb(client(), { spool });
  assert.equal((await back.insert("visits", { note: "overtaking" }, { idempotencyKey: false })).error, null);
  assert.deepEqual((await sql("SELECT note FROM visits WHERE note IN ('it waits', 'overtaking') ORDER BY id")).map((row) => row.note), ["it waits", "overtaking"]);
});
test("what was called off while others wait is not kept for later", async () => {
  const spool = { storage: memory(), owner: "service" };
  const away = createResilientDb(client({ url: nowhere.url }), { retries: 0, spool });
  await away.insert("visits", { note: "waits" });
  assert.equal((await away.insert("visits", { note: "called off" }, { signal: AbortSignal.abort() })).spooled, false);
  assert.equal((await away.spooled()).length, 1);
});
test("a storage that is full loses neither the error nor the key", async () => {
  const full = { ...memory(), set: () => { throw new Error("QuotaExceededError"); } };
  const { error, spooled, idempotencyKey } = await createResilientDb(client({ url: nowhere.url }), { retries: 0, spool: { storage: full, owner: "x" } }).insert("visits", { note: "full" });
  assert.deepEqual([error?.kind, error?.idempotencyKey, spooled], ["unknown", idempotencyKey, false]);
});
