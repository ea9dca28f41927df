import { plain } from "./connection.ts";

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

/** Sends a query with something more, and tells of the answer before its body is read. Changes only this one query. */
export function told(query: PostgrestLike, extra: Extra, hear: (answer: Response) => void): void {
  const send = query.fetch;
  if (typeof send !== "function") return;
  query.fetch = async (input, init) => {
    const answer = await send(input, { ...init, headers: merged(init?.headers, extra), signal: extra.signal ?? init?.signal });
    hear(answer);
    return answer;
  };
}

function merged(given: HeadersInit | undefined, extra: Extra): Record<string, string> {
  const headers = { ...plain(given), ...extra.headers };
  const prefer = [headers["prefer"], ...(extra.prefer ?? [])].filter(Boolean);
  return prefer.length ? { ...headers, prefer: prefer.join(",") } : headers;
}
