// Writes: keys, retries, what was healed, errors that say what to do.
import test from "node:test";
import { createResilientDb, MendgateError, withReceipt } from "../src/mod.ts";
import { annToken, assert, client, losing, nowhere, silent, sql } from "./stage.ts";

const db = createResilientDb(client());
let id = 1000;

test("a write under a former name lands, and says what was healed", async () => {
  const { error, healing, status, data } = await db.insert("people", { id: ++id, name: "Ann", email: "ann@example.org" }, { returning: "id,name" });
  assert.deepEqual([error, status, data], [null, 201, [{ id, name: "Ann" }]]);
  assert.deepEqual(healing.healed, ["rename_column(email->email_address)"]);
  const receipt = await db.receipt(healing.receipt!);
  assert.equal(receipt.outcome, "committed");
});
test("a healthy write has no receipt", async () => {
  const { error, healing } = await db.insert("people", { id: ++id, name: "Bob" });
  assert.deepEqual([error, healing], [null, { receipt: null, healed: [], changed: [], quarantine: null, replayed: false }]);
});
test("what Postgres stored differently is named", async () => {
  const { healing } = await db.insert("people", { id: ++id, name: "Cy", score: 1.239 });
  assert.deepEqual(healing.changed, ["score(1.239->1.24)"]);
});
test("an answer that was lost is asked for again under the same key, and the row is there once", async () => {
  const lossy = losing(2);
  const lost = createResilientDb(client({ fetch: lossy }));
  const { error, healing, idempotencyKey } = await lost.insert("visits", { note: "once" }, { returning: "note" });
  assert.deepEqual([error, healing.replayed], [null, true]);
  assert.deepEqual(lossy.sent, [idempotencyKey, idempotencyKey, idempotencyKey]);
  assert.deepEqual(await sql("SELECT count(*)::int AS n FROM visits WHERE note = 'once'"), [{ n: 1 }]);
});
test("the same key of one's own has one effect, and another payload under it is refused", async () => {
  const options = { idempotencyKey: `mine-${id}` };
  for (let n = 0; n < 3; n++) assert.equal((await db.insert("visits", { note: "mine" }, options)).error, null);
  assert.deepEqual(await sql("SELECT count(*)::int AS n FROM visits WHERE note = 'mine'"), [{ n: 1 }]);
  const { error } = await db.insert("visits", { note: "another" }, options);
  assert.deepEqual([error?.code, error?.kind], ["MG422", "refused"]);
});
test("without a key nothing is sent twice", async () => {
  const lossy = losing(1);
  const { error } = await createResilientDb(client({ fetch: lossy })).insert("visits", { note: "no key" }, { idempotencyKey: false });
  assert.deepEqual([error?.kind, lossy.sent], ["unknown", [""]]);
});
test("where nobody answers the error is unknown and carries the key", async () => {
  const away = createResilientDb(client({ url: nowhere.url }), { retries: 1 });
  const { error, idempotencyKey } = await away.insert("visits", { note: "away" });
  assert.ok(error instanceof MendgateError);
  assert.deepEqual([error.kind, error.status, error.idempotencyKey], ["unknown", 0, idempotencyKey]);
  assert.match(error.hint!, /same idempotencyKey/);
});
test("a try that hangs is cut and sent again", async () => {
  const far = await silent();
  let tries = 0;
  const hanging: typeof fetch = (input, init) => fetch(tries++ ? input : far.url, init);
  const hung = createResilientDb(client({ fetch: hanging }), { timeout: 500 });
  assert.equal((await hung.insert("visits", { note: "hung" }, { retries: 0 })).error?.kind, "unknown");
  tries = 0;
  assert.equal((await hung.insert("visits", { note: "hung" }, { retries: 20 })).error, null);
  far.close();
});
test("what cannot land is kept, and the error says where and what to do", async () => {
  const { error, healing, data } = await db.insert("people", { id: ++id, nickname: "Zed" });
  assert.deepEqual([error?.kind, error?.code, data], ["kept", "PGRST204", null]);
  assert.equal(error?.quarantine, healing.quarantine);
  assert.match(error!.hint!, /quarantine/);
});
test("quarantine can be accepted", async () => {
  const { error, status, healing } = await db.insert("people", { id: ++id, nickname: "Zed" }, { acceptQuarantine: true });
  assert.deepEqual([error, status, typeof healing.quarantine], [null, 202, "string"]);
});
test("healing can be lowered", async () => {
  const { error } = await db.insert("people", { id: ++id, email: "x@example.org" }, { healing: "off" });
  assert.deepEqual([error?.code, error?.quarantine], ["PGRST204", null]);
});
test("an update or delete without a match is refused before anything is sent", async () => {
  for (const match of [{}, { id: undefined }]) {
    const { error } = await db.update("people", { name: "everybody" }, match);
    assert.deepEqual([error?.code, error?.kind], ["no_match", "refused"]);
    assert.equal((await db.delete("people", match)).error?.code, "no_match");
  }
  assert.deepEqual(await sql("SELECT count(*)::int AS n FROM people WHERE name = 'everybody'"), [{ n: 0 }]);
});
test("upsert, update, select and delete", async () => {
  await db.upsert("people", { id: 1, name: "Eve" }, { onConflict: "id" });
  await db.upsert("people", { id: 1, name: "Eva" }, { onConflict: "id" });
  const changed = await db.update("people", { email: "eva@example.org" }, { id: 1 }, { returning: "name" });
  assert.deepEqual([changed.data, changed.healing.healed], [[{ name: "Eva" }], ["rename_column(email->email_address)"]]);
  const one = await db.select("people", { columns: "name,email", match: { id: 1 }, single: true });
  assert.deepEqual(one.data, { name: "Eva", email: "eva@example.org" });
  const two = await db.select("people", { columns: "id", match: { id: [1, 2], email_address: "eva@example.org" }, order: "id", limit: 5, count: "exact" });
  assert.deepEqual([two.data, two.count], [[{ id: 1 }], 1]);
  await db.delete("people", { id: 1 });
  assert.equal((await db.select("people", { match: { id: 1 }, single: true })).error?.code, "PGRST116");
});
test("a batch lands what can land", async () => {
  const operations = [
    { op: "insert" as const, table: "people", rows: { id: 2001, name: "A" } },
    { op: "insert" as const, table: "people", rows: { id: 2001, name: "again" } },
    { op: "insert" as const, table: "nowhere", rows: { id: 1 } },
    { op: "update" as const, table: "people", values: { name: "all" }, match: {} },
    { op: "insert" as const, table: "people", rows: { id: 2002, email: "b@example.org" } },
  ];
  const { results, succeeded, failed } = await db.batch(operations, { concurrency: 1 });
  assert.deepEqual([succeeded, failed], [2, 3]);
  assert.deepEqual(results.map((each) => each.error?.code ?? each.status), [201, "23505", "PGRST205", "no_match", 201]);
  assert.deepEqual(await sql("SELECT id FROM people WHERE id BETWEEN 2001 AND 2002 ORDER BY id"), [{ id: 2001 }, { id: 2002 }]);
});
test("a batch under a key of one's own can be sent again", async () => {
  const operations = ["one", "two"].map((note) => ({ op: "insert" as const, table: "visits", rows: { note: `batch ${note}` } }));
  for (let n = 0; n < 2; n++) assert.equal((await db.batch(operations, { idempotencyKey: "batch-7" })).failed, 0);
  assert.deepEqual(await sql("SELECT count(*)::int AS n FROM visits WHERE note LIKE 'batch %'"), [{ n: 2 }]);
});
test("a user's writes are the user's: row level security holds", async () => {
  const ann = createResilientDb(client({ token: annToken }));
  assert.equal((await ann.insert("diaries", { owner: "a0000000-0000-4000-8000-00000000000a", text: "mine" })).error, null);
  const { error } = await ann.insert("diaries", { owner: "b0000000-0000-4000-8000-00000000000b", text: "not mine" });
  assert.deepEqual([error?.code, error?.kind], ["42501", "forbidden"]);
});
test("errors can be thrown", async () => {
  const throwing = createResilientDb(client(), { throwOnError: true });
  await assert.rejects(throwing.insert("nowhere", { id: 1 }), (error: MendgateError) => error.code === "PGRST205");
  await assert.rejects(throwing.delete("people", {}), (error: MendgateError) => error.code === "no_match");
});
test("withReceipt reads what was healed off any query of supabase-js", async () => {
  const found = await withReceipt(client().from("people").insert({ id: ++id, email: "w@example.org" }).select("id").single()) as { data: unknown; healing: { healed: string[] } };
  assert.deepEqual([found.data, found.healing.healed], [{ id }, ["rename_column(email->email_address)"]]);
});
test("a client that takes no key for one write is refused before anything is sent", async () => {
  let sent = 0;
  const query = { then: (done: (answer: unknown) => void) => done((sent++, { data: null, error: null, status: 201 })) };
  const odd = createResilientDb({ from: () => ({ insert: () => query }) });
  assert.deepEqual([(await odd.insert("visits", { note: "odd" })).error?.code, sent], ["unsupported_client", 0]);
});
test("a match of undefined, or of nothing in a list, is refused and never looked for as a word", async () => {
  for (const match of [{ id: undefined }, { id: [1, undefined] }, { name: [null] }]) {
    const { error } = await db.select("people", { match });
    assert.deepEqual([error?.code, error?.kind], ["no_match", "refused"]);
    assert.equal((await db.delete("people", match)).error?.code, "no_match");
  }
});
test("an offset counts without a limit, too", async () => {
  await db.insert("people", [{ id: 3001, name: "pages" }, { id: 3002, name: "pages" }, { id: 3003, name: "pages" }]);
  const { data } = await db.select("people", { columns: "id", match: { name: "pages" }, order: "id", offset: 1 });
  assert.deepEqual(data, [{ id: 3002 }, { id: 3003 }]);
});
test("a fault of the gateway is no refusal: whether it was written is asked under the same key", async () => {
  let answered = 0;
  const faulty: typeof fetch = async (input, init) => {
    const answer = await fetch(input, init);
    return answered++ ? answer : new Response(JSON.stringify({ code: "MG500", message: "Internal error of the gateway" }), { status: 500 });
  };
  const { error, healing } = await createResilientDb(client({ fetch: faulty })).insert("visits", { note: "after a fault" });
  assert.deepEqual([error, healing.replayed], [null, true]);
  assert.deepEqual(await sql("SELECT count(*)::int AS n FROM visits WHERE note = 'after a fault'"), [{ n: 1 }]);
});
