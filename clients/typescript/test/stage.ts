// What every case needs: clients as an edge function makes them, and a hand behind the stage (SQL as the owner, manage.py).
// The cases use node:test, so that Deno and Node run the same ones.
import assert from "node:assert/strict";
import { createServer, type Socket } from "node:net";
import process from "node:process";
import { createClient } from "@supabase/supabase-js";

export { assert };
export const url = process.env.SUPABASE_URL!;
export const key = process.env.SUPABASE_SERVICE_ROLE_KEY!;
export const annToken = process.env.ANN_TOKEN!;
export const connection = { url, key };
/** Where nobody listens. */
export const nowhere = { url: "http://127.0.0.1:9", key };

// deno-lint-ignore no-explicit-any
export type Any = any;

/** A supabase-js client whose fetch is ours. */
export function client(options: { url?: string; fetch?: typeof fetch; token?: string } = {}): Any {
  return createClient(options.url ?? url, key, {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
    global: { fetch: options.fetch ?? fetch },
    realtime: { transport: (globalThis as Any).WebSocket ?? class {} }, // Node 20 has none, and none is used here
    ...(options.token ? { accessToken: () => Promise.resolve(options.token!) } : {}),
  });
}

/** A fetch that loses the first `times` answers after they were given, as a cut connection does. */
export function losing(times: number): typeof fetch & { sent: string[] } {
  const sent: string[] = [];
  const lossy = async (input: RequestInfo | URL, init?: RequestInit) => {
    sent.push(new Headers(init?.headers).get("idempotency-key") ?? "");
    const answer = await fetch(input, init);
    if (times-- <= 0) return answer;
    await answer.arrayBuffer();
    throw new TypeError("connection reset");
  };
  return Object.assign(lossy, { sent });
}

/** A server that takes connections and never answers. */
export async function silent(): Promise<{ url: string; close: () => void }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => void sockets.add(socket.on("error", () => undefined)));
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  const close = () => (sockets.forEach((each) => each.destroy()), server.close());
  return { url: `http://127.0.0.1:${(server.address() as { port: number }).port}`, close };
}

/** Runs SQL as the owner of the target. */
export function sql(query: string): Promise<Any[]> {
  return ask("sql", [query]);
}

/** Runs `manage.py`. */
export function manage(...words: string[]): Promise<string> {
  return ask("manage", words);
}

/** Waits until something holds. */
export async function until(holds: () => boolean | Promise<boolean>, seconds = 120): Promise<void> {
  for (const end = Date.now() + seconds * 1000; !(await holds());) {
    assert.ok(Date.now() < end, "it never came to hold");
    await new Promise((wake) => setTimeout(wake, 20));
  }
}

async function ask(what: string, words: string[]): Promise<Any> {
  const response = await fetch(`${process.env.STAGEHAND_URL}/${what}`, { method: "POST", body: JSON.stringify(words) });
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return JSON.parse(text);
}

/** A fetch to a gateway whose target has no place for keys; the first `lost` answers without one are lost after they were given. */
export function keyless(lost: number): typeof fetch {
  const lossy = losing(lost);
  return async (input, init) => {
    if (!new Headers(init?.headers).has("idempotency-key")) return await lossy(input, init);
    return new Response(JSON.stringify({ code: "MG501", message: "Idempotency-Key needs the schema mendgate" }), { status: 501 });
  };
}
