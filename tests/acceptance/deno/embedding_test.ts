// Resource embedding through foreign keys.
import { Any, assert, db, fails, ids, ok } from "./stage.ts";

const test = Deno.test;

test("to one", async () => {
  assert.deepEqual(await ok(db.from("authors").select("name, countries(name)").eq("id", 1).single()), { name: "Ada", countries: { name: "Ireland" } });
});
test("to one that is not there is null", async () => {
  assert.deepEqual(await ok(db.from("authors").select("name, countries(name)").eq("id", 4).single()), { name: "Dov", countries: null });
});
test("to many", async () => {
  assert.deepEqual(await ok(db.from("countries").select("name, authors(name)").eq("id", 2).single()), { name: "Japan", authors: [{ name: "Chi" }] });
});
test("to many that has none is an empty array", async () => {
  assert.deepEqual(await ok(db.from("countries").select("authors(name)").eq("id", 3).single()), { authors: [] });
});
test("many to many", async () => {
  const row = await ok(db.from("books").select("title, genres(name)").eq("id", 1).order("name", { referencedTable: "genres" }).single());
  assert.deepEqual(row.genres, [{ name: "nature" }, { name: "novel" }]);
});
test("one to one is an object", async () => {
  assert.deepEqual(await ok(db.from("books").select("id, covers(colour)").eq("id", 1).single()), { id: 1, covers: { colour: "red" } });
});
test("hint by constraint, with an alias", async () => {
  const row = await ok(db.from("books").select("author:authors!books_author_fkey(name), editor:authors!books_editor_fkey(name)").eq("id", 1).single());
  assert.deepEqual(row, { author: { name: "Ada" }, editor: { name: "Ben" } });
});
test("hint by column", async () => {
  const row = await ok(db.from("books").select("author:author_id(name), editor:authors!editor_id(name)").eq("id", 3).single());
  assert.deepEqual(row, { author: { name: "Ben" }, editor: { name: "Ada" } });
});
test("a table embedded in itself", async () => {
  const row = await ok(db.from("authors").select("name, mentor:mentor_id(name)").eq("id", 2).single());
  assert.deepEqual(row, { name: "Ben", mentor: { name: "Ada" } });
});
test("inner leaves out rows without a match", async () => {
  assert.deepEqual(ids(await ok(db.from("authors").select("id, countries!inner(name)").order("id"))), [1, 2, 3]);
  assert.deepEqual(ids(await ok(db.from("authors").select("id, countries!inner(name)").eq("countries.name", "Japan"))), [3]);
});
test("a filter on an embedding without inner only empties it", async () => {
  const rows = await ok(db.from("authors").select("id, countries(name)").eq("countries.name", "Japan").order("id").limit(3));
  assert.deepEqual(rows.map((r: Any) => r.countries?.name ?? null), [null, null, "Japan"]);
});
test("nested", async () => {
  const row = await ok(
    db.from("countries").select("name, authors(name, books!books_author_fkey(title, covers(colour)))").eq("id", 1).order("id", { referencedTable: "authors" }).single(),
  );
  assert.deepEqual(row.authors[0].books.map((b: Any) => b.covers?.colour).sort(), ["blue", "red"]);
});
test("spread", async () => {
  assert.deepEqual(await ok(db.from("authors").select("name, ...countries(country:name)").eq("id", 3).single()), { name: "Chi", country: "Japan" });
});
test("order, limit and range inside an embedding", async () => {
  const query = () => db.from("countries").select("id, authors(name)").eq("id", 1);
  assert.deepEqual((await ok(query().order("name", { referencedTable: "authors", ascending: false }).single())).authors.map((a: Any) => a.name), ["Ben", "Ada"]);
  assert.deepEqual((await ok(query().order("name", { referencedTable: "authors" }).limit(1, { referencedTable: "authors" }).single())).authors, [{ name: "Ada" }]);
  assert.deepEqual((await ok(query().order("name", { referencedTable: "authors" }).range(1, 1, { referencedTable: "authors" }).single())).authors, [{ name: "Ben" }]);
});
test("or inside an embedding", async () => {
  const row = await ok(db.from("countries").select("authors(name)").eq("id", 1).or("name.eq.Ben,name.eq.Chi", { referencedTable: "authors" }).single());
  assert.deepEqual(row.authors, [{ name: "Ben" }]);
});
test("order by a column of a to-one embedding", async () => {
  assert.deepEqual(ids(await ok(db.from("authors").select("id, countries(name)").order("countries(name)", { ascending: false, nullsFirst: false }).order("id"))), [3, 1, 2, 4]);
});
test("rows with and without an embedding", async () => {
  assert.deepEqual(ids(await ok(db.from("books").select("id, covers()").not("covers", "is", null).order("id"))), [1, 2]);
  assert.deepEqual(ids(await ok(db.from("books").select("id, covers()").is("covers", null).order("id"))), [3, 4]);
});
test("count of an embedding", async () => {
  assert.deepEqual(await ok(db.from("countries").select("name, authors(count)").eq("id", 1).single()), { name: "Ireland", authors: [{ count: 2 }] });
});
test("through a view", async () => {
  assert.deepEqual(await ok(db.from("living").select("name, countries(name)").eq("id", 1).single()), { name: "Ada", countries: { name: "Ireland" } });
});
test("two ways to embed is 300 with the ways listed", async () => {
  const error = await fails(db.from("books").select("authors(name)"), 300, "PGRST201");
  assert.equal(error.details.length, 2);
  assert.match(error.hint, /authors!books_author_fkey/);
});
test("no way to embed is 400", async () => {
  await fails(db.from("authors").select("bookings(*)"), 400, "PGRST200");
});
test("a filter on what is not embedded is 400", async () => {
  await fails(db.from("authors").select("id").eq("countries.name", "Japan"), 400, "PGRST108");
});
