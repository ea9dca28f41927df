// Breakers as an edge function uses them, with fetch alone: docs/howto/protect-a-call.md has this `guarded` word for word.
import { Any, assert, keys, until, url } from "./stage.ts";

const test = Deno.test;
const api = `${url}/api/v1/breakers`;
const headers = { apikey: keys.service, "content-type": "application/json", "mendgate-isolate": crypto.randomUUID() };

// --- docs/howto/protect-a-call.md
let known = { at: 0, states: new Map<string, Any>() };

/** What is known of all breakers, at most three seconds old. Never throws: without an answer, calls go through. */
async function states(): Promise<Map<string, Any>> {
  if (Date.now() - known.at > 3000) {
    known.at = Date.now();
    const answer = await fetch(api, { headers, signal: AbortSignal.timeout(500) }).catch(() => null);
    if (answer?.ok) known.states = new Map((await answer.json()).breakers.map((each: Any) => [each.name, each]));
    else await answer?.body?.cancel();
  }
  return known.states;
}

/** Calls through the breaker `name`; `fallback` always answers where the call does not. */
export async function guarded<T>(name: string, call: () => Promise<T>, fallback: () => T | Promise<T>): Promise<T> {
  const state = (await states()).get(name);
  const since = Date.now() - known.at;
  let token: string | undefined;
  if (state?.allows === "none" && since < state.remaining_ms) return fallback();
  if (state?.allows === "some" && Math.random() >= state.ramp) return fallback();
  if (state?.allows === "ask" || state?.allows === "none") {
    const asked = await post(`${name}/acquire`, {});
    if (asked?.allowed === false) return fallback();
    token = asked?.token ?? undefined;
  }
  const begun = performance.now();
  try {
    const answer = await call();
    if (token || Math.random() < 0.1) later(name, { outcome: "ok", ms: performance.now() - begun, weight: token ? 1 : 10, token });
    return answer;
  } catch (error) {
    later(name, { outcome: "failure", ms: performance.now() - begun, token, error: String(error) });
    return fallback();
  }
}

/** Reports after the response where the platform lets us, else at once. */
function later(name: string, report: Any): void {
  const sent = post(`${name}/report`, { ...report, id: crypto.randomUUID() });
  (globalThis as Any).EdgeRuntime?.waitUntil?.(sent);
  pending.push(sent);
}

async function post(path: string, body: Any): Promise<Any> {
  const answer = await fetch(`${api}/${path}`, { method: "POST", headers, body: JSON.stringify(body), signal: AbortSignal.timeout(500) })
    .catch(() => null);
  if (!answer?.ok) return void (await answer?.body?.cancel());
  return answer.json();
}
// --- end

const pending: Promise<Any>[] = [];

async function ask(path: string, body?: Any, key = keys.service): Promise<{ status: number; body: Any; headers: Headers }> {
  const init = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  const answer = await fetch(`${api}${path}`, { ...init, headers: { ...headers, apikey: key } });
  const text = await answer.text();
  return { status: answer.status, body: text ? JSON.parse(text) : null, headers: answer.headers };
}

test("a service that fails is left alone, its fallback answers, and it is tried again", async () => {
  let calls = 0;
  const failing = () => (calls++, Promise.reject(new Error("no connection")));
  const first = await ask("/edge-mail/acquire", { settings: { failure_threshold: 3, minimum_calls: 3, timeout: 3, permits: 1 } });
  assert.deepEqual([first.body.allowed, first.body.state, first.body.token], [true, "closed", null]);
  for (let n = 0; n < 3; n++) assert.equal(await guarded("edge-mail", failing, () => "kept for later"), "kept for later");
  await Promise.all(pending.splice(0));
  await until(async () => (await ask("/edge-mail")).body.state === "open");
  known.at = 0;
  assert.equal(await guarded("edge-mail", failing, () => "kept for later"), "kept for later");
  assert.equal(calls, 3);
  await until(async () => (await ask("/edge-mail/acquire", {})).body.allowed || (await ask("/edge-mail")).body.state === "half_open");
});
test("a batch with a bad item counts the others and says what is wrong", async () => {
  const batch = [{ name: "edge-batch", outcome: "ok", weight: 20 }, { name: "edge-batch", outcome: "lost" }, { name: "edge-batch", outcome: "failure" }];
  const { status, body } = await ask("/report", batch);
  assert.deepEqual([status, body.counted, body.errors.length, body.errors[0].index], [200, 2, 1, 1]);
  await until(async () => (await ask("/edge-batch")).body.calls === 21);
});
test("an anonymous key may neither read nor report", async () => {
  assert.equal((await ask("", undefined, keys.anon)).status, 403);
  assert.equal((await ask("/edge-anon/report", { outcome: "ok" }, keys.anon)).status, 403);
});
test("state changes come as events", async () => {
  const stream = await fetch(`${api}/events`, { headers });
  const reader = stream.body!.pipeThrough(new TextDecoderStream()).getReader();
  await ask("/edge-events/acquire", { settings: { failure_threshold: 2, minimum_calls: 2, timeout: 60 } });
  await ask("/edge-events/report", [{ outcome: "failure" }, { outcome: "failure" }]);
  let text = "";
  while (!/event: breaker\ndata: .*"name":"edge-events".*"state":"open"/.test(text)) {
    const { value, done } = await reader.read();
    assert.ok(!done, text);
    text += value;
  }
  assert.match(text, /^retry: \d+\nid: \d+-\d+\nevent: ready\n/);
  await reader.cancel();
});
