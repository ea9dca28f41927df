// Functions by rpc().
import { assert, client, db, fails, ids, keys, ok, people, sql, tokens } from "./stage.ts";

const test = Deno.test;

test("named arguments and defaults", async () => {
  assert.equal(await ok(db.rpc("add", { a: 1, b: 2 }), 200), 3);
  assert.equal(await ok(db.rpc("add", { a: 1 }), 200), 11);
});
test("get puts arguments into the query", async () => {
  assert.equal(await ok(db.rpc("add", { a: 4, b: 5 }, { get: true }), 200), 9);
  assert.equal(await ok(db.rpc("total", { numbers: [1, 2, 3] }, { get: true }), 200), 6);
});
test("an array argument by POST", async () => {
  assert.equal(await ok(db.rpc("total", { numbers: [1, 2, 3] })), 6);
});
test("a set of rows, with filters, order, limit and select on it", async () => {
  assert.deepEqual(ids(await ok(db.rpc("books_by", { author: 1 }))), [1, 2]);
  assert.deepEqual(await ok(db.rpc("books_by", { author: 1 }).select("title").gt("price", 10)), [{ title: "Jumping over dogs" }]);
  assert.deepEqual(ids(await ok(db.rpc("books_by", { author: 1 }).order("id", { ascending: false }).limit(1))), [2]);
  assert.deepEqual(await ok(db.rpc("books_by", { author: 1 }).eq("id", 1).select("id").single()), { id: 1 });
});
test("a set of rows may embed", async () => {
  assert.deepEqual(await ok(db.rpc("books_by", { author: 1 }).select("id, covers(colour)").eq("id", 1)), [{ id: 1, covers: { colour: "red" } }]);
});
test("a table result", async () => {
  assert.deepEqual(await ok(db.rpc("price_list").lt("cents", 1000)), [{ book: "The quick brown fox", cents: 999 }]);
});
test("one row of a table", async () => {
  assert.equal((await ok(db.rpc("one_author", { wanted: 2 }))).name, "Ben");
});
test("void is 204", async () => {
  const answer = await db.rpc("nothing");
  assert.deepEqual([answer.error, answer.status, answer.data], [null, 204, null]);
});
test("head with a count", async () => {
  const answer = await db.rpc("books_by", { author: 1 }, { head: true, count: "exact" });
  assert.deepEqual([answer.error, answer.count, answer.data], [null, 2, null]);
});
test("count of a set", async () => {
  const answer = await db.rpc("books_by", { author: 1 }, { count: "exact" });
  assert.deepEqual([answer.count, answer.data.length], [2, 2]);
});
test("csv of a set", async () => {
  assert.equal((await ok(db.rpc("books_by", { author: 1 }).select("id,title").csv())).trim(), 'id,title\n1,"The quick brown fox"\n2,"Jumping over dogs"');
});
test("one unnamed json argument takes the whole body", async () => {
  assert.deepEqual(await ok(db.rpc("mirror", { any: ["thing", { at: 1.5 }] })), { any: ["thing", { at: 1.5 }] });
});
test("the function sees the caller's claims", async () => {
  assert.equal((await ok(client({ key: keys.anon, token: tokens.ann }).rpc("my_claims"))).sub, people.ann);
});
test("a function that writes, once", async () => {
  const id = await ok(db.rpc("count_visit", { page: "rpc" }));
  assert.deepEqual(await sql("SELECT id, page FROM visits WHERE page = 'rpc'"), [{ id, page: "rpc" }]);
});
test("a function that writes by GET is refused and writes nothing", async () => {
  await fails(db.rpc("count_visit", { page: "by get" }, { get: true }), 405, "25006");
  assert.deepEqual(await sql("SELECT 1 FROM visits WHERE page = 'by get'"), []);
});
test("an error raised by a function comes whole", async () => {
  const error = await fails(db.rpc("angry"), 400, "P0001");
  assert.deepEqual([error.message, error.details, error.hint], ["not today", "it rains", "wait for sun"]);
});
test("an unknown function or argument is 404", async () => {
  await fails(db.rpc("nowhere"), 404, "PGRST202");
  assert.match((await fails(db.rpc("add", { a: 1, c: 2 }), 404, "PGRST202")).message, /public\.add\(a, c\)/);
});
test("an argument of the wrong type is 400", async () => {
  await fails(db.rpc("add", { a: "one" }), 400, "22P02");
});
