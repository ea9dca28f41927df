// Row security: two users, nobody, and the service; heals and bulk paths included.
import { Any, api, assert, client, db, fails, headers, keys, ok, people, sql, tokens } from "./stage.ts";

const test = Deno.test;
const ann = client({ key: keys.anon, token: tokens.ann });
const bob = client({ key: keys.anon, token: tokens.bob });
const nobody = client({ key: keys.anon });

async function notes(owner: string): Promise<string[]> {
  return (await sql(`SELECT text FROM notes WHERE owner_id = '${owner}' ORDER BY id`)).map((row) => row.text);
}

test("each user writes and sees only her own rows", async () => {
  await ok(ann.from("notes").insert({ text: "of ann" }), 201);
  await ok(bob.from("notes").insert([{ text: "of bob" }, { text: "of bob too" }]), 201);
  assert.deepEqual(await ok(ann.from("notes").select("text")), [{ text: "of ann" }]);
  assert.deepEqual([await notes(people.ann), await notes(people.bob)], [["of ann"], ["of bob", "of bob too"]]);
  assert.equal(await ok(bob.rpc("note_count")), 2);
  assert.equal((await ann.from("notes").select("*", { count: "exact", head: true })).count, 1);
});
test("a row for somebody else is 403, not stored and not kept", async () => {
  const error = await fails(ann.from("notes").insert({ owner_id: people.bob, text: "forged" }), 403, "42501");
  assert.match(error.message, /row-level security/);
  assert.equal(headers.get("mendgate-quarantine"), null);
  assert.ok(!(await notes(people.bob)).includes("forged"));
});
test("an array with one forged row stores nothing", async () => {
  await fails(ann.from("notes").insert([{ text: "mine", owner_id: people.ann }, { text: "forged", owner_id: people.bob }]), 403, "42501");
  assert.deepEqual(await notes(people.ann), ["of ann"]);
});
test("update and delete reach only own rows", async () => {
  assert.deepEqual(await ok(ann.from("notes").update({ text: "taken" }).eq("owner_id", people.bob).select(), 200), []);
  assert.deepEqual(await ok(ann.from("notes").delete().neq("id", -1).select("text"), 200), [{ text: "of ann" }]);
  assert.deepEqual(await notes(people.bob), ["of bob", "of bob too"]);
  await fails(bob.from("notes").update({ owner_id: people.ann }).eq("text", "of bob"), 403, "42501");
});
test("an upsert cannot take over a row", async () => {
  const [row] = await sql(`SELECT id FROM notes WHERE text = 'of bob'`);
  await fails(ann.from("notes").upsert({ id: row.id, text: "taken", owner_id: people.ann }), 403, "42501");
  assert.deepEqual(await notes(people.bob), ["of bob", "of bob too"]);
});
test("nobody gets nothing and may write nothing", async () => {
  assert.deepEqual(await ok(nobody.from("notes").select()), []);
  await fails(nobody.from("notes").insert({ text: "x", owner_id: people.ann }), 401, "42501");
  assert.equal(headers.get("www-authenticate"), "Bearer");
});
test("the service sees every row", async () => {
  assert.equal((await ok(db.from("notes").select())).length, 2);
});
test("two hundred interleaved calls of two users never mix", async () => {
  await sql("DELETE FROM notes");
  const writes = Array.from({ length: 100 }, (_, i) => [ann.from("notes").insert({ text: `ann ${i}` }), bob.from("notes").insert({ text: `bob ${i}` })]).flat();
  const answers = await Promise.all([...writes, ...Array.from({ length: 20 }, () => ann.from("notes").select("text"))]);
  assert.deepEqual([...new Set(answers.slice(0, 200).map((a: Any) => a.status))], [201]);
  for (const answer of answers.slice(200)) assert.ok((answer as Any).data.every((row: Any) => row.text.startsWith("ann ")));
  const mixed = await sql(`SELECT * FROM notes WHERE (owner_id = '${people.ann}') <> (text LIKE 'ann %')`);
  assert.deepEqual(mixed, []);
  assert.deepEqual(await sql("SELECT count(*)::int AS n FROM notes"), [{ n: 200 }]);
});
test("a healed write runs as its caller", async () => {
  await ok(ann.from("members").insert({ nickname: "annie" }), 201);
  await sql("ALTER TABLE members RENAME COLUMN nickname TO display_name");
  await ok(ann.from("members").insert({ nickname: "ann 2" }), 201);
  assert.match(headers.get("mendgate-healed") ?? "", /rename_column\(nickname->display_name\)/);
  await fails(ann.from("members").insert({ nickname: "forged", user_id: people.bob }), 403, "42501");
  assert.deepEqual(await sql("SELECT user_id::text, display_name FROM members ORDER BY id"), [
    { user_id: people.ann, display_name: "annie" },
    { user_id: people.ann, display_name: "ann 2" },
  ]);
});
test("what one user has in quarantine another cannot see", async () => {
  await fails(ann.from("members").insert({ shoe_size: 38 }), 400, "PGRST204");
  const id = headers.get("mendgate-quarantine")!;
  const seen = async (token: string) =>
    (await fetch(`${Deno.env.get("SUPABASE_URL")}/api/v1/quarantine/${id}`, { headers: { apikey: keys.anon, authorization: `Bearer ${token}` } }).then(async (
      r,
    ) => [r.status, await r.text()])) as [number, string];
  assert.equal((await seen(tokens.bob))[0], 404);
  assert.equal((await seen(tokens.ann))[0], 200);
  assert.equal((await api(`quarantine/${id}`)).id, id);
});
