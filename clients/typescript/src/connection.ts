import { limit, setting } from "./platform.ts";

type Fetch = typeof fetch;

/**
 * Where the gateway is, and the key to call it with.
 *
 * @example
 * ```ts
 * const here: Connection = { url: Deno.env.get("SUPABASE_URL")!, key: Deno.env.get("SUPABASE_SERVICE_ROLE_KEY")! };
 * console.log(here.url);
 * ```
 */
export interface Connection {
  /** The gateway's base URL, which is also the `SUPABASE_URL` of supabase-js. */
  url: string;
  /** An API key of the gateway. */
  key: string;
  /** Used instead of the global `fetch`. */
  fetch?: Fetch;
}

/** A supabase-js (or postgrest-js) client, as far as it is used here: any version. */
export interface SupabaseLike {
  // deno-lint-ignore no-explicit-any
  from(table: string): any;
}

/** Calls the control API; resolves with the answer whatever its status, rejects where none came in time. */
export type Ask = (path: string, init?: RequestInit & { timeout?: number }) => Promise<Response>;

/** `MENDGATE_URL` and `MENDGATE_KEY`, else `SUPABASE_URL` and `SUPABASE_SERVICE_ROLE_KEY`; null where they are not set. */
export function fromEnvironment(): Connection | null {
  const url = setting("MENDGATE_URL") ?? setting("SUPABASE_URL");
  const key = setting("MENDGATE_KEY") ?? setting("SUPABASE_SERVICE_ROLE_KEY");
  return url && key ? { url, key } : null;
}

/** Asks with the credentials of a connection. */
export function asking(connection: Connection): Ask {
  const base = connection.url.replace(/\/+$/, "");
  const bearer = { apikey: connection.key, authorization: `Bearer ${connection.key}` };
  return (path, init = {}) => {
    const headers = { ...bearer, ...(init.headers as Record<string, string>) };
    const send = connection.fetch ?? fetch;
    return send(base + path, { ...init, headers, signal: limited(init) });
  };
}

/** Asks as a supabase-js client would: its key, its user's token, its own fetch. */
export function askingAs(supabase: SupabaseLike): Ask {
  // deno-lint-ignore no-explicit-any
  const rest = (supabase as any).rest ?? supabase; // supabase-js, or a PostgrestClient itself
  const base = String(rest.url).replace(/\/rest\/v1\/?$/, "");
  return (path, init = {}) => {
    const headers = { ...plain(rest.headers), ...(init.headers as Record<string, string>) };
    const send: Fetch = rest.fetch ?? fetch;
    return send(base + path, { ...init, headers, signal: limited(init) });
  };
}

/** Either of the two. */
export function askOf(source: Connection | SupabaseLike): Ask {
  return "from" in source ? askingAs(source) : asking(source);
}

/** Headers in whatever form, as a plain object. */
export function plain(headers?: HeadersInit): Record<string, string> {
  return Object.fromEntries(new Headers(headers));
}

function limited(init: { signal?: AbortSignal | null; timeout?: number }): AbortSignal | null {
  return init.timeout === undefined ? (init.signal ?? null) : limit(init.timeout, init.signal);
}
