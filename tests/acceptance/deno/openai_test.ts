// The openai package of npm, unmodified, and plain fetch as edge functions have it, against the AI gateway.
import assert from "node:assert/strict";
import OpenAI from "openai";

const test = Deno.test;
const baseURL = Deno.env.get("AI_GATEWAY_URL")!;
const apiKey = Deno.env.get("SERVICE_KEY")!;
const anonKey = Deno.env.get("ANON_KEY")!;
const far = Deno.env.get("FAR_URL")!;
const ai = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 120_000 });
// deno-lint-ignore no-explicit-any
type Any = any;
const messages: Any[] = [{ role: "user", content: "hello" }];
const model = "small";

/** Tells the service behind the gateway how to answer from now on; nothing = well. */
async function plan(rules: Any[] = [], way: Any = {}): Promise<void> {
  for (const [what, value] of [["reset", {}], ["plan", rules], ["way", way]]) {
    const response = await fetch(`${far}/control/${what}`, { method: "POST", body: JSON.stringify(value) });
    await response.body?.cancel();
  }
}

/** What that service was asked, the last one last. */
async function asked(): Promise<Any[]> {
  const all = await (await fetch(`${far}/control/asked`)).json();
  return all.filter((each: Any) => each.path.endsWith("/chat/completions"));
}

/** The end of what an application does with a stream: its text. */
async function textOf(stream: AsyncIterable<Any>): Promise<string> {
  let text = "";
  for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
  return text;
}

test("an answer", async () => {
  await plan();
  const { data, response } = await ai.chat.completions.create({ model, messages }).withResponse();
  assert.equal(data.choices[0].message.content, (await asked()).at(-1).sent);
  assert.equal(data.usage?.completion_tokens, 6);
  assert.equal(response.headers.get("mendgate-served-by"), "default/small");
});
test("a stream", async () => {
  await plan();
  const text = await textOf(await ai.chat.completions.create({ model, messages, stream: true }));
  assert.equal(text, (await asked()).at(-1).sent);
});
test("a stream with its usage", async () => {
  await plan();
  const stream = await ai.chat.completions.create({ model, messages, stream: true, stream_options: { include_usage: true } });
  let usage: Any = null;
  for await (const chunk of stream) usage = chunk.usage ?? usage;
  assert.equal(usage.completion_tokens, 6);
});
test("the streaming helper", async () => {
  await plan();
  const runner = ai.chat.completions.stream({ model, messages });
  assert.equal(await runner.finalContent(), (await asked()).at(-1).sent);
});
test("tools", async () => {
  await plan();
  const tools: Any[] = [{ type: "function", function: { name: "weather", parameters: { type: "object", properties: {} } } }];
  const answer = await ai.chat.completions.create({ model, messages, tools });
  assert.equal((answer.choices[0].message.tool_calls as Any[])[0].function.name, "weather");
  assert.deepEqual((await asked()).at(-1).body.tools, tools);
});
test("models", async () => {
  const names: string[] = [];
  for await (const each of ai.models.list()) names.push(each.id);
  assert.ok(names.includes(model));
});
test("errors have their classes", async () => {
  await plan();
  await assert.rejects(new OpenAI({ baseURL, apiKey: "sk-nobody" }).chat.completions.create({ model, messages }), OpenAI.AuthenticationError);
  await assert.rejects(new OpenAI({ baseURL, apiKey: anonKey }).chat.completions.create({ model, messages }), OpenAI.PermissionDeniedError);
  await assert.rejects(ai.chat.completions.create({ model: "nobody", messages }), OpenAI.NotFoundError);
  assert.equal((await asked()).length, 0);
  await plan([{ fault: "400" }]);
  await assert.rejects(ai.chat.completions.create({ model, messages }), OpenAI.BadRequestError);
});
test("giving up in the middle of a stream is heard by the provider", async () => {
  await plan([], { pace: 0.1, words: 1000 });
  const controller = new AbortController();
  const stream = await ai.chat.completions.create({ model, messages, stream: true }, { signal: controller.signal });
  for await (const chunk of stream) if (chunk.choices[0]?.delta?.content) break;
  controller.abort();
  for (const end = Date.now() + 60_000; (await asked()).at(-1).closed === null;) {
    assert.ok(Date.now() < end, "the provider works on for nobody");
    await new Promise((wake) => setTimeout(wake, 20));
  }
});
test("a stream that breaks throws after the words that came", async () => {
  await plan([{ fault: "cut" }]);
  let text = "";
  await assert.rejects(async () => {
    for await (const chunk of await ai.chat.completions.create({ model, messages, stream: true })) text += chunk.choices[0]?.delta?.content ?? "";
  }, OpenAI.APIError);
  assert.equal(text, (await asked()).at(-1).sent);
  assert.equal((await asked()).length, 1);
});

/** As edge functions written by hand do it: fetch, then lines. */
async function byHand(body: Any, headers: Record<string, string> = {}): Promise<{ response: Response; text: string; done: boolean }> {
  const response = await fetch(`${baseURL}/chat/completions`, {
    method: "POST",
    headers: { Authorization: `Bearer ${apiKey}`, "Content-Type": "application/json", ...headers },
    body: JSON.stringify({ model, messages, ...body }),
  });
  if (!body.stream || !response.ok) return { response, text: await response.text(), done: false };
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "", text = "", done = false;
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    buffer += part.value;
    const lines = buffer.split("\n");
    buffer = lines.pop()!;
    for (const line of lines.map((each) => each.trim()).filter((each) => each.startsWith("data: "))) {
      if (line === "data: [DONE]") done = true;
      else text += JSON.parse(line.slice(6)).choices?.[0]?.delta?.content ?? "";
    }
  }
  return { response, text, done };
}

test("fetch: an answer", async () => {
  await plan();
  const { response, text } = await byHand({});
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type")?.split(";")[0], "application/json");
  assert.equal(JSON.parse(text).choices[0].message.content, (await asked()).at(-1).sent);
});
test("fetch: a stream, read line by line", async () => {
  await plan();
  const { response, text, done } = await byHand({ stream: true });
  assert.equal(response.headers.get("content-type")?.split(";")[0], "text/event-stream");
  assert.ok(done);
  assert.equal(text, (await asked()).at(-1).sent);
});
test("fetch: a stream is handed on to the browser, CORS and all", async () => {
  await plan();
  const preflight = await fetch(`${baseURL}/chat/completions`, {
    method: "OPTIONS",
    headers: { Origin: "https://app.example", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization, content-type" },
  });
  await preflight.body?.cancel();
  assert.ok(preflight.ok && preflight.headers.get("access-control-allow-headers"));
  const { response, done } = await byHand({ stream: true }, { Origin: "https://app.example" });
  assert.ok(done && response.headers.get("access-control-allow-origin"));
});
test("fetch: 429 is told as 429, with the time to wait", async () => {
  await plan([{ fault: "429-seconds" }], { wait: 1 });
  const { response } = await byHand({});
  assert.equal(response.status, 429);
  assert.ok(Number(response.headers.get("retry-after")) > 0);
  await plan();
  await new Promise((wake) => setTimeout(wake, 1100));
});
test("fetch: a broken stream ends without [DONE]", async () => {
  await plan([{ fault: "truncated" }]);
  const { text, done } = await byHand({ stream: true });
  assert.equal(done, false);
  assert.equal(text, (await asked()).at(-1).sent);
});
