// Every filter that postgrest-js has, by the ids that it chooses.
import { Any, assert, db, fails, ids, ok } from "./stage.ts";

const test = Deno.test;

async function authors(choose: (query: Any) => Any, wanted: number[]): Promise<void> {
  assert.deepEqual(ids(await ok(choose(db.from("authors").select("id")).order("id"), 200)), wanted);
}

async function bookings(choose: (query: Any) => Any, wanted: number[]): Promise<void> {
  assert.deepEqual(ids(await ok(choose(db.from("bookings").select("id")).order("id"), 200)), wanted);
}

async function books(choose: (query: Any) => Any, wanted: number[]): Promise<void> {
  assert.deepEqual(ids(await ok(choose(db.from("books").select("id")).order("id"), 200)), wanted);
}

test("eq", async () => {
  await authors((q) => q.eq("name", "Ada"), [1]);
  await authors((q) => q.eq("id", 2), [2]);
  await authors((q) => q.eq("alive", true), [1, 2]);
  await authors((q) => q.eq("born", "1955-01-30"), [3]);
  await authors((q) => q.eq("mood", "sad"), [2]);
});
test("eq with characters that mean something in a URL", async () => {
  await authors((q) => q.eq("bio", "Writes, sometimes (rarely)"), [2]);
  await authors((q) => q.eq("bio", 'A "quoted" life'), [3]);
  await authors((q) => q.eq("bio", "50% off_season"), [4]);
});
test("neq", () => authors((q) => q.neq("mood", "sad"), [1, 3]));
test("gt", () => authors((q) => q.gt("rating", 3.25), [1]));
test("gte", () => authors((q) => q.gte("rating", 3.25), [1, 2]));
test("lt", () => authors((q) => q.lt("born", "1984-03-01"), [3]));
test("lte", () => authors((q) => q.lte("born", "1984-03-01"), [1, 3]));
test("like", async () => {
  await authors((q) => q.like("name", "%i"), [3]);
  await authors((q) => q.like("name", "B__"), [2]);
});
test("likeAllOf", () => authors((q) => q.likeAllOf("name", ["%d%", "A%"]), [1]));
test("likeAnyOf", () => authors((q) => q.likeAnyOf("name", ["A%", "B%"]), [1, 2]));
test("ilike", () => authors((q) => q.ilike("name", "a%"), [1]));
test("ilikeAllOf", () => authors((q) => q.ilikeAllOf("name", ["%D%", "a%"]), [1]));
test("ilikeAnyOf", () => authors((q) => q.ilikeAnyOf("name", ["a%", "c%"]), [1, 3]));
test("regexMatch", () => authors((q) => q.regexMatch("name", "^(A|B)"), [1, 2]));
test("regexIMatch", () => authors((q) => q.regexIMatch("name", "^(a|b)"), [1, 2]));
test("is", async () => {
  await authors((q) => q.is("mood", null), [4]);
  await authors((q) => q.is("alive", true), [1, 2]);
  await authors((q) => q.is("alive", false), [3]);
});
test("isDistinct", () => authors((q) => q.isDistinct("mood", "happy"), [2, 3, 4]));
test("in", async () => {
  await authors((q) => q.in("id", [1, 3, 99]), [1, 3]);
  await authors((q) => q.in("bio", ["Writes, sometimes (rarely)", 'A "quoted" life']), [2, 3]);
});
test("in with no values chooses nothing", () => authors((q) => q.in("id", []), []));
test("notIn", () => authors((q) => q.notIn("id", [1, 3]), [2, 4]));
test("contains", async () => {
  await authors((q) => q.contains("tags", ["prose"]), [1, 2]);
  await authors((q) => q.contains("profile", { city: "Cork" }), [1]);
  await authors((q) => q.contains("profile->langs", '["en"]'), [1, 2]);
  await bookings((q) => q.contains("days", "[2,3]"), [1]);
});
test("containedBy", async () => {
  await authors((q) => q.containedBy("tags", ["prose", "poems"]), [1, 2, 4]);
  await bookings((q) => q.containedBy("days", "[0,10)"), [1, 2]);
});
test("rangeGt", () => bookings((q) => q.rangeGt("days", "[1,9)"), [3]));
test("rangeGte", () => bookings((q) => q.rangeGte("days", "[5,9)"), [2, 3]));
test("rangeLt", () => bookings((q) => q.rangeLt("days", "[5,9)"), [1]));
test("rangeLte", () => bookings((q) => q.rangeLte("days", "[5,10)"), [1, 2]));
test("rangeAdjacent", () => bookings((q) => q.rangeAdjacent("days", "[10,20)"), [2, 3]));
test("overlaps", async () => {
  await authors((q) => q.overlaps("tags", ["poems", "essays"]), [1, 3]);
  await bookings((q) => q.overlaps("days", "[4,6)"), [1, 2]);
});
test("textSearch", async () => {
  await books((q) => q.textSearch("summary", "'fox' & 'quick'"), [1]);
  await books((q) => q.textSearch("summary", "jumped", { config: "english" }), [2]);
  await books((q) => q.textSearch("summary", "small boat", { type: "plain", config: "english" }), [4]);
  await books((q) => q.textSearch("summary", "brown fox", { type: "phrase", config: "english" }), [1]);
  await books((q) => q.textSearch("summary", "fox or rivers", { type: "websearch", config: "english" }), [1, 3]);
});
test("textSearch on plain text", () => books((q) => q.textSearch("title", "boat", { config: "english" }), [4]));
test("match", () => authors((q) => q.match({ alive: true, country_id: 1, name: "Ben" }), [2]));
test("not", async () => {
  await authors((q) => q.not("alive", "is", null), [1, 2, 3]);
  await authors((q) => q.not("id", "in", "(1,2)"), [3, 4]);
  await authors((q) => q.not("name", "eq", "Ada"), [2, 3, 4]);
  await authors((q) => q.not("tags", "cs", "{prose}"), [3, 4]);
});
test("or", async () => {
  await authors((q) => q.or("id.eq.1,name.eq.Dov"), [1, 4]);
  await authors((q) => q.or("id.eq.3,and(alive.eq.true,rating.lt.4)"), [2, 3]);
  await authors((q) => q.or("not.and(alive.is.true,id.gt.1),id.eq.2"), [1, 2, 3, 4]);
  await authors((q) => q.or("name.not.in.(Ada,Ben),mood.eq.happy"), [1, 3, 4]);
  await authors((q) => q.or('bio.eq."Writes, sometimes (rarely)",tags.cs.{poems}'), [1, 2]);
});
test("or twice means both", () => authors((q) => q.or("id.eq.1,id.eq.2").or("name.eq.Ben,name.eq.Chi"), [2]));
test("filter", async () => {
  await authors((q) => q.filter("name", "eq", "Ada"), [1]);
  await authors((q) => q.filter("name", "not.in", "(Ada,Ben)"), [3, 4]);
  await authors((q) => q.filter("id", "gt(any)", "{2,3}"), [3, 4]);
});
test("filters into json", async () => {
  await authors((q) => q.eq("profile->>city", "Cork"), [1]);
  await authors((q) => q.gt("profile->age", 35), [1]);
  await authors((q) => q.eq("profile->langs->>0", "en"), [2]);
  await authors((q) => q.is("profile->>city", null), [3, 4]);
});
test("several filters mean all of them", () => authors((q) => q.gt("id", 1).lt("id", 4).neq("name", "Ben"), [3]));
test("names with blanks, commas and quotes", async () => {
  const rows = await ok(db.from("Odd names").select('"Grüße, Welt"').eq('"Grüße, Welt"', "hallo"));
  assert.deepEqual(rows, [{ "Grüße, Welt": "hallo" }]);
});
test("an unknown operator is 400", async () => {
  await fails(db.from("authors").select().filter("id", "like_a", "1"), 400, "PGRST100");
});
test("an unknown column is 400 as Postgres says it", async () => {
  assert.match((await fails(db.from("authors").select().eq("nome", 1), 400, "42703")).message, /column authors.nome does not exist/);
});
test("a value of the wrong type is 400", async () => {
  await fails(db.from("authors").select().eq("id", "one"), 400, "22P02");
});
