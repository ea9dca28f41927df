// The whole of supabase-js with one setting, SUPABASE_URL: auth, storage, functions and realtime go through to the Supabase behind.
import assert from "node:assert/strict";
import { createClient } from "@supabase/supabase-js";

const test = Deno.test;
const url = Deno.env.get("SUPABASE_URL")!;
const options = { auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false } };
const supabase = createClient(url, Deno.env.get("ANON_KEY")!, options);
const admin = createClient(url, Deno.env.get("SERVICE_KEY")!, options);

test("auth: sign in, and who am I", async () => {
  const { data, error } = await createClient(url, Deno.env.get("ANON_KEY")!, options).auth.signInWithPassword({ email: "ann@example.org", password: "secret" });
  assert.equal(error, null);
  assert.equal(data.session!.access_token, "far.user.token");
  assert.equal((await supabase.auth.getUser("far.user.token")).data.user!.email, "ann@example.org");
  assert.equal((await supabase.auth.getUser("another.user.token")).error!.status, 401);
});
test("storage: up and down again, byte for byte", async () => {
  const bytes = crypto.getRandomValues(new Uint8Array(60_000));
  const { error } = await admin.storage.from("pictures").upload("a/b.bin", bytes, { contentType: "application/octet-stream" });
  assert.equal(error, null);
  const { data } = await admin.storage.from("pictures").download("a/b.bin");
  assert.deepEqual(new Uint8Array(await data!.arrayBuffer()), bytes);
  assert.match((await admin.storage.from("pictures").download("nothing")).error!.message, /not found|Bad Request|\{/i);
});
test("functions: an answer, and the function's own error", async () => {
  assert.deepEqual((await supabase.functions.invoke("echo", { body: { name: "Ann" } })).data, { hello: { name: "Ann" } });
  assert.equal((await supabase.functions.invoke("broken")).error.name, "FunctionsRelayError");
});
test("functions: a stream comes as it is sent", async () => {
  const { data } = await supabase.functions.invoke("drip");
  const reader = data.body.getReader();
  assert.match(new TextDecoder().decode((await reader.read()).value), /^data: 0/);
  await reader.cancel();
});
test("realtime: a channel is joined and a broadcast comes back", async () => {
  const channel = supabase.channel("room", { config: { broadcast: { self: true } } });
  const heard = new Promise((wake) => channel.on("broadcast", { event: "shout" }, (message) => wake(message.payload)));
  await new Promise<void>((ready, fail) => channel.subscribe((status, error) => status === "SUBSCRIBED" ? ready() : fail(error ?? status)));
  await channel.send({ type: "broadcast", event: "shout", payload: { text: "hello" } });
  assert.deepEqual(await heard, { text: "hello" });
  await supabase.removeAllChannels();
  await supabase.realtime.disconnect();
});
test("the data API is served here, and a read that is not served here is the upstream's", async () => {
  assert.deepEqual((await admin.from("notes").select("text")).data, [{ text: "ours" }]);
  const headers = { apikey: Deno.env.get("ANON_KEY")! };
  assert.equal((await (await fetch(`${url}/rest/v1/`, { headers })).json()).swagger, "2.0");
  const answer = await fetch(`${url}/rest/v1/notes?select=text`, { headers: { ...headers, accept: "application/geo+json" } });
  assert.deepEqual(await answer.json(), { far: "/rest/v1/notes", query: "select=text" });
});
