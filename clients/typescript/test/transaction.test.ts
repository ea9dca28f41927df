// Several tables in one transaction, through the client.
import test from "node:test";
import { createResilientDb } from "../src/mod.ts";
import { annToken, assert, client, keyless, losing, sql } from "./stage.ts";

const db = createResilientDb(client());

test("orders and their items land together, healed inside", async () => {
  const { data, error, healing } = await db.transaction((tx) => {
    const order = tx.insert("orders", { customer: "Ann" });
    tx.insert("items", [{ order_id: order.ref("id"), title: "Tea", price: 1.5 }, { order_id: order.ref("id"), title: "Cup" }], { select: "title" });
    tx.insert("people", { name: "Ann", email: "ann@example.org" });
  });
  assert.equal(error, null);
  assert.deepEqual(data!.operations.map((each) => each.count), [1, 2, 1]);
  assert.deepEqual(data!.operations[1]!.rows, [{ title: "Tea" }, { title: "Cup" }]);
  assert.deepEqual([healing.healed, healing.receipt], [["rename_column(email->email_address)"], data!.receipt]);
  assert.deepEqual(await sql(`SELECT count(*)::int AS n FROM items WHERE order_id = ${data!.operations[0]!.rows[0]!.id}`), [{ n: 2 }]);
});
test("what cannot land undoes all and says which operation it was", async () => {
  const { error, data } = await db.transaction((tx) => {
    tx.insert("orders", { customer: "nobody" });
    tx.insert("items", { order_id: 1, colour: "red" });
  });
  assert.deepEqual([data, error?.code, error?.kind], [null, "PGRST204", "refused"]);
  assert.match(error!.details!, /^Operation 1 /);
  assert.deepEqual(await sql("SELECT id FROM orders WHERE customer = 'nobody'"), []);
});
test("an answer that was lost is asked for again, and everything is there once", async () => {
  const lossy = losing(1);
  const { error } = await createResilientDb(client({ fetch: lossy })).transaction([
    { op: "insert", table: "visits", rows: [{ note: "tx once" }] },
    { op: "insert", table: "visits", rows: [{ note: "tx once" }] },
  ]);
  assert.deepEqual([error, lossy.sent.length, new Set(lossy.sent).size], [null, 2, 1]);
  assert.deepEqual(await sql("SELECT count(*)::int AS n FROM visits WHERE note = 'tx once'"), [{ n: 2 }]);
});
test("it runs with the user's own rights", async () => {
  const { error } = await createResilientDb(client({ token: annToken })).transaction((tx) => {
    tx.insert("diaries", { owner: "b0000000-0000-4000-8000-00000000000b", text: "not mine" });
  });
  assert.deepEqual([error?.code, error?.kind], ["42501", "forbidden"]);
});
test("what holds for all writes of a client holds for its transactions", async () => {
  const off = createResilientDb(client(), { healing: "off" });
  const person = [{ op: "insert" as const, table: "people", rows: [{ id: 4001, email: "t@example.org" }] }];
  assert.equal((await off.transaction(person)).error?.code, "PGRST204");
  assert.equal((await off.transaction(person, { healing: "approved" })).error, null);
});
test("every operation's changes are named, each by itself", async () => {
  const { healing } = await db.transaction((tx) => {
    tx.insert("people", { id: 4002, email: "u@example.org", score: 1.239 });
    tx.insert("people", { id: 4003, score: 2.229 });
  });
  assert.deepEqual(healing.changed, ["score(1.239->1.24)", "score(2.229->2.23)"]);
});
test("an answer that breaks off is no refusal: it is asked for again, and everything is there once", async () => {
  let answered = 0;
  const broken: typeof fetch = async (input, init) => {
    const answer = await fetch(input, init);
    return answered++ ? answer : new Response((await answer.text()).slice(0, 20), { status: answer.status });
  };
  const { error, healing } = await createResilientDb(client({ fetch: broken })).transaction([{ op: "insert", table: "visits", rows: [{ note: "tx broke off" }] }]);
  assert.deepEqual([error, healing.replayed], [null, true]);
  assert.deepEqual(await sql("SELECT count(*)::int AS n FROM visits WHERE note = 'tx broke off'"), [{ n: 1 }]);
});
test("where the target has no place for keys it goes once, without", async () => {
  const operations = [{ op: "insert" as const, table: "visits", rows: [{ note: "tx keyless" }] }];
  assert.equal((await createResilientDb(client({ fetch: keyless(0) })).transaction(operations)).error, null);
  assert.equal((await createResilientDb(client({ fetch: keyless(1) })).transaction(operations)).error?.kind, "unknown");
  assert.deepEqual(await sql("SELECT count(*)::int AS n FROM visits WHERE note = 'tx keyless'"), [{ n: 2 }]);
});
