import { plain } from "./connection.ts";
import { MendgateError } from "./errors.ts";

/** A query of postgrest-js that was not sent yet. Its `fetch` is what sends it. */
export interface PostgrestLike extends PromiseLike<PostgrestAnswer> {
  fetch?: typeof fetch;
}

/** What a query of postgrest-js resolves with. */
export interface PostgrestAnswer {
  // deno-lint-ignore no-explicit-any
  data: any;
  error: { message: string; code?: string; details?: string | null; hint?: string | null } | null;
  status: number;
  count?: number | null;
}

/** Headers and a signal for one query. */
export interface Extra {
  headers?: Record<string, string>;
  /** Added to what the query prefers by itself. */
  prefer?: readonly string[];
  signal?: AbortSignal;
}

/** Like {@link told}; throws where that cannot be done: without its key a write must not be sent twice. */
export function surelyTold(query: PostgrestLike, extra: Extra, hear: (answer: Response) => void): void {
  if (told(query, extra, hear)) return;
  const hint = "Use supabase-js 2 or newer, or postgrest-js 1 or newer.";
  throw new MendgateError({ message: "This client's queries take no headers of their own", code: "unsupported_client", hint });
}

/** Sends a query with something more, and tells of the answer before its body is read; false where the query is of no such kind. Changes only this one query. */
export function told(query: PostgrestLike, extra: Extra, hear: (answer: Response) => void): boolean {
  const send = query.fetch;
  if (typeof send !== "function") return false;
  query.fetch = async (input, init) => {
    const answer = await send(input, { ...init, headers: merged(init?.headers, extra), signal: extra.signal ?? init?.signal });
    hear(answer);
    return answer;
  };
  return true;
}

function merged(given: HeadersInit | undefined, extra: Extra): Record<string, string> {
  const headers = { ...plain(given), ...extra.headers };
  const prefer = [headers["prefer"], ...(extra.prefer ?? [])].filter(Boolean);
  return prefer.length ? { ...headers, prefer: prefer.join(",") } : headers;
}
