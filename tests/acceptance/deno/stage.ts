// What every case needs: clients as an application makes them, and a hand behind the stage (SQL as the owner, manage.py).
import assert from "node:assert/strict";
import { createClient, type SupabaseClient } from "@supabase/supabase-js";

export { assert };
export const url = Deno.env.get("SUPABASE_URL")!;
export const keys = { service: Deno.env.get("SERVICE_KEY")!, anon: Deno.env.get("ANON_KEY")! };
export const people = { ann: Deno.env.get("ANN")!, bob: Deno.env.get("BOB")! };
export const tokens = { ann: Deno.env.get("ANN_TOKEN")!, bob: Deno.env.get("BOB_TOKEN")! };
const stagehand = Deno.env.get("STAGEHAND_URL")!;

// deno-lint-ignore no-explicit-any
export type Any = any;
export type Db = SupabaseClient<Any, Any, Any>;
export type Answer = { data: Any; error: Any; status: number; count?: number | null };

/** The headers of the last answer that any client got. */
export let headers = new Headers();

async function listening(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  const response = await fetch(input, init);
  headers = response.headers;
  return response;
}

/** A client as an edge function makes it; with a `token` it acts for that user. */
export function client(options: { key?: string; token?: string; headers?: Record<string, string> } = {}): Db {
  const { key = keys.service, token } = options;
  return createClient(url, key, {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
    global: { fetch: listening, headers: options.headers ?? {} },
    ...(token ? { accessToken: () => Promise.resolve(token) } : {}),
  });
}

export const db = client();

/** The data of a call that must succeed, with this status where one is given. */
export async function ok(call: PromiseLike<Answer>, status?: number): Promise<Any> {
  const answer = await call;
  assert.equal(answer.error, null, JSON.stringify(answer.error));
  if (status !== undefined) assert.equal(answer.status, status);
  return answer.data;
}

/** The error of a call that must fail so; it has exactly the four keys, each a string or null. */
export async function fails(call: PromiseLike<Answer>, status: number, code: string): Promise<Any> {
  const { error, data, status: got } = await call;
  assert.notEqual(error, null, `it went through: ${JSON.stringify(data)}`);
  assert.deepEqual([got, error.code], [status, code], JSON.stringify(error));
  assert.equal(data, null);
  for (const key of ["message", "details", "hint"]) {
    const value = error[key];
    assert.ok(value === null || typeof value === "string" || (status === 300 && key === "details"), `${key} is ${JSON.stringify(value)}`);
  }
  return error;
}

/** Runs SQL as the owner of the target; the rows of the last statement. */
export function sql(query: string): Promise<Any[]> {
  return ask("sql", [query]);
}

/** Runs `manage.py` as an operator would; what it printed. */
export function manage(...words: string[]): Promise<string> {
  return ask("manage", words);
}

/** GETs a path of the control API with a key. */
export async function api(path: string, key = keys.service): Promise<Any> {
  const response = await fetch(`${url}/api/v1/${path}`, { headers: { apikey: key, authorization: `Bearer ${key}` } });
  const body = await response.json();
  assert.equal(response.status, 200, JSON.stringify(body));
  return body;
}

/** Waits until something holds: what an operator sets reaches the gateways within a moment, of a machine that may be busy. */
export async function until(holds: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 120_000; !(await holds());) {
    assert.ok(Date.now() < end, "it never came to hold");
    await new Promise((wake) => setTimeout(wake, 10));
  }
}

export function ids(rows: { id: number }[]): number[] {
  return rows.map((row) => row.id);
}

async function ask(what: string, words: string[]): Promise<Any> {
  const response = await fetch(`${stagehand}/${what}`, { method: "POST", body: JSON.stringify(words) });
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return JSON.parse(text);
}
