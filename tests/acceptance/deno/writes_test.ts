// insert, upsert, update, delete, and `.select()` after each: status, answer and what is in the table.
import { Any, assert, client, db, fails, headers, ids, ok, sql } from "./stage.ts";

const test = Deno.test;

async function stored(where: string): Promise<Any[]> {
  return await sql(`SELECT code, customer, amount::text AS amount, state, note FROM orders WHERE ${where} ORDER BY id`);
}

test("insert of one row is 201 with an empty body and the row is stored", async () => {
  const answer = await db.from("orders").insert({ code: "one", customer: "Ann", amount: 12.5 });
  assert.deepEqual([answer.error, answer.status, answer.data], [null, 201, null]);
  assert.deepEqual(await stored("code = 'one'"), [{ code: "one", customer: "Ann", amount: "12.50", state: "new", note: null }]);
  assert.equal(headers.get("mendgate-receipt"), null);
});

test("insert of many rows stores them all", async () => {
  await ok(db.from("orders").insert([{ code: "m1" }, { code: "m2" }, { code: "m3" }]), 201);
  assert.equal((await stored("code LIKE 'm_'")).length, 3);
});

test("insert of a ragged array fills absent keys with null as PostgREST does", async () => {
  await ok(db.from("orders").insert([{ code: "r1", state: "paid" }, { code: "r2", note: "hi" }]), 201);
  assert.deepEqual((await stored("code IN ('r1', 'r2')")).map((r) => [r.state, r.note]), [["paid", null], [null, "hi"]]);
});

test("insert of a ragged array with defaultToNull false uses the defaults", async () => {
  await ok(db.from("orders").insert([{ code: "d1", state: "paid" }, { code: "d2" }], { defaultToNull: false }), 201);
  assert.deepEqual((await stored("code IN ('d1', 'd2')")).map((r) => [r.state, r.customer]), [["paid", "nobody"], ["new", "nobody"]]);
});

test("insert of an empty object stores a row of defaults", async () => {
  const row = await ok(db.from("orders").insert({}).select().single(), 201);
  assert.equal(row.customer, "nobody");
});

test("insert of an empty array stores nothing", async () => {
  const [before] = await sql("SELECT count(*)::int AS n FROM orders");
  await ok(db.from("orders").insert([]), 201);
  assert.deepEqual(await sql("SELECT count(*)::int AS n FROM orders"), [before]);
});

test("insert of 1000 rows with select gives them back in order", async () => {
  const rows = Array.from({ length: 1000 }, (_, i) => ({ page: `p${i}` }));
  const back = await ok(db.from("visits").insert(rows).select("page"), 201);
  assert.deepEqual(back, rows);
  await sql("DELETE FROM visits");
});

test("insert then select gives an array with every column", async () => {
  const [row, ...more] = await ok(db.from("orders").insert({ code: "sel", amount: 3 }).select(), 201);
  assert.deepEqual({ ...row, id: typeof row.id }, { id: "number", code: "sel", customer: "nobody", amount: 3, state: "new", note: null });
  assert.equal(more.length, 0);
});

test("insert then select of some columns, aliased and cast", async () => {
  const row = await ok(db.from("orders").insert({ code: "als", amount: 3 }).select("what:code, amount::text").single(), 201);
  assert.deepEqual(row, { what: "als", amount: "3.00" });
});

test("insert then single gives an object", async () => {
  const row = await ok(db.from("orders").insert({ code: "sgl" }).select("code").single(), 201);
  assert.deepEqual(row, { code: "sgl" });
});

test("insert of two rows then single is 406 and rolled back", async () => {
  const error = await fails(db.from("orders").insert([{ code: "s1" }, { code: "s2" }]).select().single(), 406, "PGRST116");
  assert.match(error.details, /2 rows/);
  assert.deepEqual(await stored("code IN ('s1', 's2')"), []);
});

test("insert then maybeSingle gives an object", async () => {
  assert.deepEqual(await ok(db.from("orders").insert({ code: "may" }).select("code").maybeSingle()), { code: "may" });
});

test("insert with count tells how many", async () => {
  const answer = await db.from("orders").insert([{ code: "c1" }, { code: "c2" }], { count: "exact" });
  assert.deepEqual([answer.error, answer.status, answer.count], [null, 201, 2]);
});

test("insert then select may embed the parent", async () => {
  const order = await ok(db.from("orders").insert({ code: "par" }).select("id").single());
  const line = await ok(db.from("order_lines").insert({ order_id: order.id, what: "tea" }).select("what, orders(code)").single(), 201);
  assert.deepEqual(line, { what: "tea", orders: { code: "par" } });
});

test("insert then csv gives csv", async () => {
  assert.equal((await ok(db.from("orders").insert({ code: "csv" }).select("code,state").csv(), 201)).trim(), "code,state\ncsv,new");
});

test("insert then select with stripped nulls", async () => {
  const [row] = await ok(db.from("orders").insert({ code: "nul" }).select("code,note").stripNulls(), 201);
  assert.deepEqual(row, { code: "nul" });
});

test("values of every kind arrive as they were sent", async () => {
  const text = "q'uo\"te \\ back\n tab\t ünï 🦆 $1 %s";
  await ok(db.from("orders").insert({ code: "val", note: text, amount: 1234.56 }), 201);
  assert.deepEqual((await stored("code = 'val'"))[0].note, text);
  const row = await ok(db.from("orders").select("note").eq("note", text).single());
  assert.equal(row.note, text);
});

test("upsert of a new row is 201", async () => {
  await ok(db.from("orders").upsert({ id: 900001, code: "up1" }), 201);
  assert.equal((await stored("id = 900001"))[0].code, "up1");
});

test("upsert that merges is 200 and changes only what was sent", async () => {
  await ok(db.from("orders").insert({ id: 900002, code: "up2", note: "keep" }));
  await ok(db.from("orders").upsert({ id: 900002, state: "paid" }), 200);
  const [row] = await stored("id = 900002");
  assert.deepEqual([row.code, row.note, row.state], ["up2", "keep", "paid"]);
});

test("upsert of a new and an old row is 201", async () => {
  await ok(db.from("orders").insert({ id: 900003, code: "up3" }));
  await ok(db.from("orders").upsert([{ id: 900003, code: "up3b" }, { id: 900004, code: "up4" }]), 201);
  assert.deepEqual((await stored("id IN (900003, 900004)")).map((r) => r.code), ["up3b", "up4"]);
});

test("upsert by onConflict merges on that column", async () => {
  await ok(db.from("orders").insert({ code: "oc", note: "old" }));
  const row = await ok(db.from("orders").upsert({ code: "oc", note: "new" }, { onConflict: "code" }).select("code,note").single(), 200);
  assert.deepEqual(row, { code: "oc", note: "new" });
  assert.equal((await stored("code = 'oc'")).length, 1);
});

test("upsert that ignores duplicates leaves the stored row", async () => {
  await ok(db.from("orders").insert({ code: "ign", note: "old" }));
  const rows = await ok(
    db.from("orders").upsert([{ code: "ign", note: "new" }, { code: "ign2", note: "new" }], { onConflict: "code", ignoreDuplicates: true }).select("code"),
    201,
  );
  assert.deepEqual(rows, [{ code: "ign2" }]);
  assert.equal((await stored("code = 'ign'"))[0].note, "old");
});

test("upsert on columns without a unique index is an error with four keys", async () => {
  await fails(db.from("orders").upsert({ code: "x", note: "y" }, { onConflict: "note" }), 400, "42P10");
});

test("update is 204 and changes only the chosen rows", async () => {
  await ok(db.from("orders").insert([{ code: "u1" }, { code: "u2" }]));
  await ok(db.from("orders").update({ note: "changed" }).eq("code", "u1"), 204);
  assert.deepEqual((await stored("code IN ('u1', 'u2')")).map((r) => r.note), ["changed", null]);
});

test("update then select gives the rows", async () => {
  await ok(db.from("orders").insert([{ code: "us1" }, { code: "us2" }]));
  const rows = await ok(db.from("orders").update({ note: "n" }).in("code", ["us1", "us2"]).select("code,note"), 200);
  assert.deepEqual(rows.map((r: Any) => r.note), ["n", "n"]);
});

test("update of no row then select is 200 with an empty array", async () => {
  assert.deepEqual(await ok(db.from("orders").update({ note: "n" }).eq("code", "nobody").select(), 200), []);
});

test("update of no row then single is 406", async () => {
  await fails(db.from("orders").update({ note: "n" }).eq("code", "nobody").select().single(), 406, "PGRST116");
});

test("update of two rows then single is 406 and rolled back", async () => {
  await ok(db.from("orders").insert([{ code: "ur1" }, { code: "ur2" }]));
  await fails(db.from("orders").update({ note: "n" }).in("code", ["ur1", "ur2"]).select().single(), 406, "PGRST116");
  assert.deepEqual((await stored("code IN ('ur1', 'ur2')")).map((r) => r.note), [null, null]);
});

test("update with count tells how many", async () => {
  await ok(db.from("orders").insert([{ code: "uc1" }, { code: "uc2" }]));
  const answer = await db.from("orders").update({ note: "n" }, { count: "exact" }).like("code", "uc_");
  assert.deepEqual([answer.status, answer.count], [204, 2]);
});

test("update to null stores null", async () => {
  await ok(db.from("orders").insert({ code: "un", note: "x" }));
  await ok(db.from("orders").update({ note: null }).eq("code", "un"), 204);
  assert.equal((await stored("code = 'un'"))[0].note, null);
});

test("delete is 204 and removes only the chosen rows", async () => {
  await ok(db.from("orders").insert([{ code: "del1" }, { code: "del2" }]));
  await ok(db.from("orders").delete().eq("code", "del1"), 204);
  assert.deepEqual((await stored("code LIKE 'del_'")).map((r) => r.code), ["del2"]);
});

test("delete then select gives the removed rows", async () => {
  await ok(db.from("orders").insert({ code: "ds", note: "bye" }));
  assert.deepEqual(await ok(db.from("orders").delete().eq("code", "ds").select("code,note"), 200), [{ code: "ds", note: "bye" }]);
});

test("delete of no row then select is 200 with an empty array", async () => {
  assert.deepEqual(await ok(db.from("orders").delete().eq("code", "nobody").select(), 200), []);
});

test("delete with count tells how many", async () => {
  await ok(db.from("orders").insert([{ code: "dc1" }, { code: "dc2" }]));
  const answer = await db.from("orders").delete({ count: "exact" }).like("code", "dc_");
  assert.deepEqual([answer.status, answer.count], [204, 2]);
});

test("maxAffected within the limit goes through", async () => {
  await ok(db.from("orders").insert({ code: "ma1" }));
  await ok(db.from("orders").update({ note: "n" }).eq("code", "ma1").maxAffected(1), 204);
});

test("maxAffected beyond the limit is 400 and rolled back", async () => {
  await ok(db.from("orders").insert([{ code: "mb1" }, { code: "mb2" }]));
  await fails(db.from("orders").update({ note: "n" }).like("code", "mb_").maxAffected(1), 400, "PGRST124");
  await fails(db.from("orders").delete().like("code", "mb_").maxAffected(1), 400, "PGRST124");
  assert.deepEqual((await stored("code LIKE 'mb_'")).map((r) => r.note), [null, null]);
});

test("throwOnError throws an error with code, details, hint and message", async () => {
  await ok(db.from("orders").insert({ code: "thr" }));
  await assert.rejects(async () => await db.from("orders").insert({ code: "thr" }).throwOnError(), (error: Any) => {
    assert.deepEqual([error.code, typeof error.message, typeof error.details], ["23505", "string", "string"]);
    return "hint" in error;
  });
});

test("a duplicate is 409 and is not kept in quarantine", async () => {
  await ok(db.from("orders").insert({ code: "dup" }));
  const error = await fails(db.from("orders").insert({ code: "dup" }), 409, "23505");
  assert.match(error.message, /duplicate key/);
  assert.match(error.details, /\(code\)=\(dup\)/);
  assert.equal(headers.get("mendgate-quarantine"), null);
});

test("a missing parent is 409", async () => {
  await fails(db.from("order_lines").insert({ order_id: -1, what: "x" }), 409, "23503");
});

test("a violated check is 400 and names the constraint", async () => {
  assert.match((await fails(db.from("orders").insert({ code: "neg", amount: -1 }), 400, "23514")).message, /orders_amount_check/);
});

test("a missing value is 400", async () => {
  await fails(db.from("orders").insert({ code: "nn", customer: null }), 400, "23502");
});

test("a value that does not fit is 400", async () => {
  await fails(db.from("orders").insert({ code: "big", amount: 123456 }), 400, "22003");
  await fails(db.from("orders").insert({ code: "txt", amount: "a lot" }), 400, "22P02");
});

test("one wrong row in an array stores none of it", async () => {
  await fails(db.from("orders").insert([{ code: "w1", amount: 1 }, { code: "w2", amount: -1 }]), 400, "23514");
  assert.deepEqual(await stored("code IN ('w1', 'w2')"), []);
});

test("rollback where the policy does not allow it commits and does not claim otherwise", async () => {
  await ok(db.from("orders").insert({ code: "txr" }).rollback());
  assert.equal((await stored("code = 'txr'")).length, 1);
  assert.doesNotMatch(headers.get("preference-applied") ?? "", /rollback/);
});

test("explain and geojson are refused with a clear error", async () => {
  await fails(db.from("orders").select().explain(), 406, "PGRST107");
  await fails(db.from("orders").select().geojson(), 406, "PGRST107");
});

test("a hundred inserts at once all land once", async () => {
  const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => client().from("visits").insert({ page: `at once ${i}` })));
  assert.deepEqual([...new Set(answers.map((a) => a.status))], [201]);
  assert.deepEqual(await sql("SELECT count(*)::int AS n, count(DISTINCT page)::int AS d FROM visits WHERE page LIKE 'at once %'"), [{ n: 100, d: 100 }]);
});

test("an insert through a view lands in its table", async () => {
  await ok(db.from("living").insert({ id: 77, name: "Eve" }), 201);
  assert.deepEqual(ids(await sql("DELETE FROM authors WHERE name = 'Eve' RETURNING id")), [77]);
});
