// select, order, limit, range, counts, single, csv, schemas.
import { Any, assert, client, db, fails, headers, ids, keys, ok, tokens } from "./stage.ts";

const test = Deno.test;

test("select gives every column, numbers as numbers", async () => {
  const [ada] = await ok(db.from("authors").select().eq("id", 1), 200);
  assert.deepEqual(ada, {
    id: 1,
    name: "Ada",
    country_id: 1,
    mentor_id: null,
    mood: "happy",
    tags: ["prose", "poems"],
    profile: { city: "Cork", langs: ["ga", "en"], age: 40 },
    born: "1984-03-01",
    rating: 4.5,
    alive: true,
    bio: null,
  });
});
test("select with alias, cast and json path", async () => {
  const row = await ok(db.from("authors").select("who:name, rating::text, city:profile->>city, profile->langs").eq("id", 1).single());
  assert.deepEqual(row, { who: "Ada", rating: "4.50", city: "Cork", langs: ["ga", "en"] });
});
test("order ascending, descending, nulls first and last, by two columns", async () => {
  const by = async (order: (q: Any) => Any) => ids(await ok(order(db.from("authors").select("id"))));
  assert.deepEqual(await by((q) => q.order("name", { ascending: false })), [4, 3, 2, 1]);
  assert.deepEqual(await by((q) => q.order("rating", { nullsFirst: true })), [3, 4, 2, 1]);
  assert.deepEqual(await by((q) => q.order("rating", { ascending: false, nullsFirst: false })), [1, 2, 4, 3]);
  assert.deepEqual(await by((q) => q.order("country_id").order("name", { ascending: false })), [2, 1, 3, 4]);
  assert.deepEqual(await by((q) => q.order("profile->age", { nullsFirst: false }).order("id")), [2, 1, 3, 4]);
});
test("limit", async () => {
  assert.deepEqual(ids(await ok(db.from("authors").select("id").order("id").limit(2), 200)), [1, 2]);
});
test("range", async () => {
  assert.deepEqual(ids(await ok(db.from("authors").select("id").order("id").range(1, 2), 200)), [2, 3]);
  assert.equal(headers.get("content-range"), "1-2/*");
});
test("range with an exact count is 206 and tells the total", async () => {
  const answer = await db.from("authors").select("id", { count: "exact" }).order("id").range(0, 1);
  assert.deepEqual([answer.status, answer.count, ids(answer.data!)], [206, 4, [1, 2]]);
  assert.equal(headers.get("content-range"), "0-1/4");
});
test("a range past the end with a count is 416", async () => {
  const answer = await db.from("authors").select("id", { count: "exact" }).range(10, 12);
  assert.deepEqual([answer.status, answer.error?.code], [416, "PGRST103"]);
});
test("a range past the end without a count is empty", async () => {
  assert.deepEqual(await ok(db.from("authors").select("id").range(10, 12), 200), []);
});
test("count exact with head", async () => {
  const answer = await db.from("authors").select("*", { count: "exact", head: true }).eq("alive", true);
  assert.deepEqual([answer.error, answer.status, answer.count, answer.data], [null, 200, 2, null]);
});
test("count planned and estimated are integers", async () => {
  for (const count of ["planned", "estimated"] as const) {
    const answer = await db.from("authors").select("*", { count, head: true });
    assert.equal(answer.error, null);
    assert.ok(Number.isInteger(answer.count) && answer.count! >= 0, `${count}: ${answer.count}`);
  }
});
test("count of nothing is zero", async () => {
  const answer = await db.from("authors").select("id", { count: "exact" }).eq("id", -1);
  assert.deepEqual([answer.status, answer.count, answer.data], [200, 0, []]);
});
test("single", async () => {
  assert.deepEqual(await ok(db.from("authors").select("name").eq("id", 1).single(), 200), { name: "Ada" });
  assert.match((await fails(db.from("authors").select().single(), 406, "PGRST116")).details, /4 rows/);
  assert.match((await fails(db.from("authors").select().eq("id", -1).single(), 406, "PGRST116")).details, /0 rows/);
});
test("maybeSingle", async () => {
  assert.deepEqual(await ok(db.from("authors").select("name").eq("id", 1).maybeSingle()), { name: "Ada" });
  assert.equal(await ok(db.from("authors").select("name").eq("id", -1).maybeSingle()), null);
  assert.equal((await db.from("authors").select("name").maybeSingle()).error?.code, "PGRST116");
});
test("csv", async () => {
  const text = await ok(db.from("authors").select("id,name,bio").order("id").lt("id", 4).csv(), 200);
  assert.equal(text.trim(), 'id,name,bio\n1,Ada,\n2,Ben,"Writes, sometimes (rarely)"\n3,Chi,"A ""quoted"" life"');
  assert.match(headers.get("content-type")!, /^text\/csv/);
});
test("stripNulls", async () => {
  assert.deepEqual(await ok(db.from("authors").select("id,bio,mood").eq("id", 4).stripNulls()), [{ id: 4, bio: "50% off_season" }]);
});
test("another schema", async () => {
  assert.deepEqual(await ok(db.schema("private_shop").from("orders").select()), [{ id: 1, secret: "from the other schema" }]);
});
test("a write to another schema", async () => {
  await ok(db.schema("private_shop").from("orders").insert({ id: 2, secret: "x" }), 201);
  assert.deepEqual(await ok(db.schema("private_shop").from("orders").delete().eq("id", 2).select(), 200), [{ id: 2, secret: "x" }]);
});
test("a schema that is not exposed is 406", async () => {
  for (const name of ["mendgate", "pg_catalog", "nope"]) await fails(db.schema(name).from("orders").select(), 406, "PGRST106");
});
test("a view", async () => {
  assert.deepEqual(ids(await ok(db.from("living").select().order("id"))), [1, 2]);
});
test("an unknown table is 404", async () => {
  assert.match((await fails(db.from("autors").select(), 404, "PGRST205")).message, /public\.autors/);
});
test("an unknown column in select and order is 400", async () => {
  await fails(db.from("authors").select("nome"), 400, "42703");
  await fails(db.from("authors").select("id").order("nome"), 400, "42703");
});
test("a broken select is 400", async () => {
  await fails(db.from("authors").select("id,(("), 400, "PGRST100");
});
test("a table without any right is 401 for nobody and 403 for somebody", async () => {
  await fails(client({ key: keys.anon }).from("secrets").select(), 401, "42501");
  await fails(client({ key: keys.anon, token: tokens.ann }).from("secrets").select(), 403, "42501");
});
test("count aggregates are served", async () => {
  assert.deepEqual(await ok(db.from("authors").select("count()")), [{ count: 4 }]);
  assert.deepEqual(await ok(db.from("authors").select("alive, id.max()").eq("alive", true)), [{ alive: true, max: 2 }]);
});
test("fifty reads at once each get their own rows", async () => {
  const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => ok(db.from("authors").select("id").eq("id", (i % 4) + 1).single())));
  answers.forEach((row, i) => assert.equal(row.id, (i % 4) + 1));
});
