// Healing as a client sees it: the schema moves under a running gateway, the old client keeps working.
import { api, assert, client, db, fails, headers, keys, manage, ok, sql, until } from "./stage.ts";

const test = Deno.test;
const admin = Deno.env.get("ADMIN")!;

/** The receipt that the last answer named. */
async function receipt() {
  const id = headers.get("mendgate-receipt");
  assert.ok(id, "no Mendgate-Receipt");
  return await api(`receipts/${id}`);
}

test("a healthy write carries no header of ours", async () => {
  await ok(db.from("customers").insert({ email: "zero@example.com", name: "Zero", level: "happy" }), 201);
  for (const name of ["mendgate-receipt", "mendgate-healed", "mendgate-changed", "mendgate-quarantine"]) assert.equal(headers.get(name), null);
});

test("insert under the old name of a renamed column lands", async () => {
  await sql("ALTER TABLE customers RENAME COLUMN email TO email_address");
  await ok(db.from("customers").insert({ email: "one@example.com", name: "One" }), 201);
  assert.match(headers.get("mendgate-healed")!, /^rename_column\(email->email_address\)/);
  const kept = await receipt();
  assert.equal(kept.outcome, "committed");
  assert.deepEqual(await sql("SELECT email_address FROM customers WHERE name = 'One'"), [{ email_address: "one@example.com" }]);
});
test("insert and select under the old name comes back under it", async () => {
  const row = await ok(db.from("customers").insert({ email: "two@example.com", name: "Two" }).select("email,name").single(), 201);
  assert.deepEqual(row, { email: "two@example.com", name: "Two" });
  const every = await ok(db.from("customers").insert({ email: "three@example.com", name: "Three" }).select().single(), 201);
  assert.deepEqual([every.email, every.email_address], ["three@example.com", "three@example.com"]);
});
test("select, filter and order under the old name", async () => {
  const rows = await ok(db.from("customers").select("email").like("email", "t%").order("email", { ascending: false }), 200);
  assert.deepEqual(rows, [{ email: "two@example.com" }, { email: "three@example.com" }]);
  assert.match(headers.get("mendgate-healed")!, /rename_column\(email->email_address\)/);
  assert.deepEqual(await ok(db.from("customers").select("name").or("email.eq.one@example.com,email.eq.two@example.com").order("name")), [{ name: "One" }, { name: "Two" }]);
});
test("new name and old name at once work for old and new clients", async () => {
  assert.deepEqual(await ok(db.from("customers").select("email_address").eq("email_address", "one@example.com")), [{ email_address: "one@example.com" }]);
});
test("update under the old name, in the payload and in the filter", async () => {
  await ok(db.from("customers").update({ email: "uno@example.com" }).eq("email", "one@example.com"), 204);
  const rows = await ok(db.from("customers").update({ email: "un@example.com" }).eq("email", "uno@example.com").select("email"), 200);
  assert.deepEqual(rows, [{ email: "un@example.com" }]);
  assert.deepEqual(await sql("SELECT email_address FROM customers WHERE name = 'One'"), [{ email_address: "un@example.com" }]);
});
test("upsert on conflict of the old name merges", async () => {
  await ok(db.from("customers").upsert({ email: "un@example.com", name: "Uno" }, { onConflict: "email" }), 200);
  assert.deepEqual(await sql("SELECT name FROM customers WHERE email_address = 'un@example.com'"), [{ name: "Uno" }]);
});
test("delete by the old name", async () => {
  assert.deepEqual(await ok(db.from("customers").delete().eq("email", "three@example.com").select("email"), 200), [{ email: "three@example.com" }]);
});
test("a batch under the old name lands whole", async () => {
  await ok(db.from("customers").insert([{ email: "b1@example.com", name: "B" }, { email: "b2@example.com" }]), 201);
  assert.deepEqual(await sql("SELECT email_address FROM customers WHERE email_address LIKE 'b_@%' ORDER BY 1"), [{ email_address: "b1@example.com" }, {
    email_address: "b2@example.com",
  }]);
});
test("a column renamed twice is still found by its first name", async () => {
  await sql("ALTER TABLE customers RENAME COLUMN email_address TO mail");
  await ok(db.from("customers").insert({ email: "twice@example.com" }), 201);
  assert.match(headers.get("mendgate-healed")!, /rename_column\(email->mail\)/);
  await ok(db.from("customers").insert({ email_address: "twice2@example.com" }), 201);
  assert.equal((await sql("SELECT 1 FROM customers WHERE mail LIKE 'twice%'")).length, 2);
});
test("old and new name in one payload is refused or kept, never a guess", async () => {
  const answer = await db.from("customers").insert({ email: "a@example.com", mail: "b@example.com" });
  assert.ok(answer.status >= 400);
  assert.deepEqual(await sql("SELECT 1 FROM customers WHERE mail IN ('a@example.com', 'b@example.com')"), []);
});
test("a name that was given to another column is not guessed", async () => {
  await sql("ALTER TABLE parcels RENAME COLUMN content TO goods; ALTER TABLE parcels ADD COLUMN content text");
  await manage("capture_schema");
  const answer = await db.from("parcels").insert({ weight: 1, content: "which one?" });
  assert.ok(answer.status >= 400, `${answer.status}`);
  assert.deepEqual(await sql("SELECT 1 FROM parcels"), []);
});

test("insert into and select from the old name of a renamed table", async () => {
  await ok(db.from("drivers").insert({ name: "Dee" }), 201);
  await sql("ALTER TABLE drivers RENAME TO couriers");
  await ok(db.from("drivers").insert({ name: "Eve" }), 201);
  assert.match(headers.get("mendgate-healed")!, /rename_table\(drivers->couriers\)/);
  assert.deepEqual(await ok(db.from("drivers").select("name").order("id")), [{ name: "Dee" }, { name: "Eve" }]);
  assert.deepEqual(await ok(db.from("drivers").update({ name: "Eva" }).eq("name", "Eve").select("name")), [{ name: "Eva" }]);
  await ok(db.from("drivers").delete().eq("name", "Eva"), 204);
  assert.deepEqual(await sql("SELECT name FROM couriers"), [{ name: "Dee" }]);
});

test("the old name of a renamed enum label", async () => {
  await ok(db.from("tickets").insert({ title: "a", state: "closed" }), 201);
  await sql("ALTER TYPE ticket_state RENAME VALUE 'closed' TO 'done'");
  await ok(db.from("tickets").insert({ title: "b", state: "closed" }), 201);
  assert.match(headers.get("mendgate-healed")!, /map_value\(/);
  assert.deepEqual(await sql("SELECT title FROM tickets WHERE state = 'done' ORDER BY id"), [{ title: "a" }, { title: "b" }]);
  assert.equal((await ok(db.from("tickets").select("id").eq("state", "closed"))).length, 2);
});

test("exact coercions land with a receipt", async () => {
  await ok(db.from("parcels").insert({ weight: "42" }), 201);
  assert.deepEqual(await sql("SELECT weight FROM parcels WHERE weight = 42"), [{ weight: 42 }]);
});

test("an unknown column is an error with a hint, and the payload is kept", async () => {
  const error = await fails(db.from("messages").insert({ body: "first", author_mood: "good" }), 400, "PGRST204");
  const id = headers.get("mendgate-quarantine")!;
  assert.match(error.message, /Could not find the 'author_mood' column of 'messages' in the schema cache/);
  assert.ok(error.hint.includes(id), error.hint);
  const item = await api(`quarantine/${id}`);
  assert.deepEqual([item.state, item.table, item.operation, item.error.code], ["waiting", "messages", "insert", "PGRST204"]);
  assert.deepEqual(item.payload, [{ body: "first", author_mood: "good" }]);
  assert.ok(Array.isArray(item.proposals));
  assert.equal(item.receipt, headers.get("mendgate-receipt"));
  assert.deepEqual(await sql("SELECT 1 FROM messages"), []);
  assert.ok((await api("quarantine?state=waiting")).some((one: { id: string }) => one.id === id));
});

test("approving a proposal replays the kept write, and the next one heals by the rule", async () => {
  await fails(db.from("messages").insert({ body: "kept", senderName: "Ann" }), 400, "PGRST204");
  const id = headers.get("mendgate-quarantine")!;
  const item = await api(`quarantine/${id}`);
  const rename = item.proposals.find((p: { fix: { op: string; to?: string }[] }) => p.fix.length === 1 && p.fix[0].op === "rename_column" && p.fix[0].to === "sender_name");
  assert.ok(rename, JSON.stringify(item.proposals));
  await manage("approve", rename.id, "--user", admin);
  await manage("rqworker", "default", "--burst");
  assert.deepEqual(await sql("SELECT body, sender_name FROM messages"), [{ body: "kept", sender_name: "Ann" }]);
  const after = await api(`quarantine/${id}`);
  assert.equal(after.state, "replayed");
  await ok(db.from("messages").insert({ body: "healed", senderName: "Bob" }), 201);
  assert.match(headers.get("mendgate-healed")!, /rename_column\(senderName->sender_name\)/);
  assert.deepEqual(await sql("SELECT body, sender_name FROM messages ORDER BY id"), [{ body: "kept", sender_name: "Ann" }, { body: "healed", sender_name: "Bob" }]);
});

test("quarantine=accept is 202 and says where", async () => {
  const accepting = client({ headers: { Prefer: "quarantine=accept" } });
  const answer = await accepting.from("messages").insert({ body: "later", shoe_size: 40 });
  assert.deepEqual([answer.error, answer.status], [null, 202]);
  const item = await api(`quarantine/${headers.get("mendgate-quarantine")}`);
  assert.deepEqual([item.state, item.automatic, item.payload], ["waiting", true, [{ body: "later", shoe_size: 40 }]]);
});
test("an accepted write lands by itself once the column is there", async () => {
  await sql("ALTER TABLE messages ADD COLUMN shoe_size int");
  await manage("capture_schema");
  await manage("rqworker", "default", "--burst");
  assert.deepEqual(await sql("SELECT body, shoe_size FROM messages WHERE body = 'later'"), [{ body: "later", shoe_size: 40 }]);
});
test("a column added under the running gateway can be written at once", async () => {
  await sql("ALTER TABLE messages ADD COLUMN stars int");
  await ok(db.from("messages").insert({ body: "new", stars: 5 }), 201);
  assert.deepEqual(await ok(db.from("messages").select("stars").eq("body", "new").single()), { stars: 5 });
});
test("a table made under the running gateway can be used at once", async () => {
  await sql("CREATE TABLE brand_new (id int PRIMARY KEY, t text)");
  await ok(db.from("brand_new").insert({ id: 1, t: "x" }), 201);
  assert.deepEqual(await ok(db.from("brand_new").select()), [{ id: 1, t: "x" }]);
});
test("healing=off gives the plain error and keeps nothing", async () => {
  const plain = client({ headers: { Prefer: "healing=off" } });
  const error = await fails(plain.from("messages").insert({ nope: 1 }), 400, "PGRST204");
  assert.equal(headers.get("mendgate-quarantine"), null);
  assert.equal(error.hint, null);
});
test("an unknown table is kept too", async () => {
  const error = await fails(db.from("mesages").insert({ body: "typo" }), 404, "PGRST205");
  assert.ok(error.hint.includes(headers.get("mendgate-quarantine")!));
});

test("a value that Postgres changes lands with Mendgate-Changed and a receipt", async () => {
  await ok(db.from("prices").insert({ id: 1, price: 1.239 }), 201);
  assert.equal(headers.get("mendgate-changed"), "price(1.239->1.24)");
  const [change] = (await receipt()).changes;
  assert.deepEqual([change.column, change.sent, change.stored], ["price", "1.239", "1.24"]);
  assert.deepEqual(await sql("SELECT price::text FROM prices WHERE id = 1"), [{ price: "1.24" }]);
});
test("a dropped time zone and a rounded real are told", async () => {
  await ok(db.from("prices").insert({ id: 2, at: "2026-01-01T12:00:00+05:00" }), 201);
  assert.match(headers.get("mendgate-changed")!, /^at\(/);
  await ok(db.from("prices").insert({ id: 3, ratio: 16777217 }), 201);
  assert.match(headers.get("mendgate-changed")!, /^ratio\(16777217->/);
});
test("an update that changes a value is told too", async () => {
  await ok(db.from("prices").update({ price: 2.345 }).eq("id", 1), 204);
  assert.match(headers.get("mendgate-changed")!, /^price\(2\.345->2\.3[45]\)/);
});
test("policy strict refuses what Postgres would change", async () => {
  await manage("set_policy", "--table", "prices", "--strict");
  await until(async () => (await db.from("prices").update({ price: 1.239 }).eq("id", -1)).error?.code === "MG002");
  await fails(db.from("prices").insert({ id: 9, price: 1.239 }), 400, "MG002");
  await ok(db.from("prices").insert({ id: 10, price: 1.23 }), 201);
  assert.deepEqual(await sql("SELECT id FROM prices WHERE id > 8"), [{ id: 10 }]);
  await manage("set_policy", "--table", "prices", "--no-strict");
});
test("one idempotency key has one effect and one answer", async () => {
  const once = client({ headers: { "Idempotency-Key": "deno-1" } });
  const first = await once.from("messages").insert({ body: "once" }).select("id").single();
  const again = await once.from("messages").insert({ body: "once" }).select("id").single();
  assert.deepEqual([first.status, again.status, again.data], [201, 201, first.data]);
  assert.equal((await sql("SELECT 1 FROM messages WHERE body = 'once'")).length, 1);
  await fails(once.from("messages").insert({ body: "other" }), 422, "MG422");
});
test("the browser may read our headers", async () => {
  const response = await fetch(`${Deno.env.get("SUPABASE_URL")}/rest/v1/prices`, { headers: { apikey: keys.service, origin: "http://app.example" } });
  await response.body?.cancel();
  const exposed = response.headers.get("access-control-expose-headers")!.toLowerCase();
  for (const name of ["content-range", "mendgate-receipt", "mendgate-quarantine", "mendgate-healed", "mendgate-changed"]) assert.ok(exposed.includes(name), name);
});
test("the browser's preflight is answered without a key", async () => {
  const asked = { origin: "http://app.example", "access-control-request-method": "POST", "access-control-request-headers": "apikey,prefer,idempotency-key" };
  const response = await fetch(`${Deno.env.get("SUPABASE_URL")}/rest/v1/prices`, { method: "OPTIONS", headers: asked });
  await response.body?.cancel();
  assert.ok(response.ok, `${response.status}`);
  assert.equal(response.headers.get("access-control-allow-origin"), "*"); // twice would be "*, *", which browsers refuse
  assert.match(response.headers.get("access-control-allow-methods")!, /POST/);
  const allowed = response.headers.get("access-control-allow-headers")!.toLowerCase();
  for (const name of ["apikey", "prefer", "idempotency-key"]) assert.ok(allowed.includes(name), allowed);
});
