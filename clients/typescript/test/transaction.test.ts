// Several tables in one transaction, through the client.
import test from "node:test";
import { createResilientDb } from "../src/mod.ts";
import { annToken, assert, client, losing, sql } from "./stage.ts";

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
