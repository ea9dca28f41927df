import type { PostgrestLike } from "./builder.ts";
import { told } from "./builder.ts";

/**
 * What the gateway did to a request, read off the answer's headers. Nothing is ever changed without being named here.
 *
 * @example
 * ```ts
 * const nothing: Healing = { receipt: null, healed: [], changed: [], quarantine: null, replayed: false };
 * ```
 */
export interface Healing {
  /** The receipt: `GET /api/v1/receipts/<id>`; null where the write landed as it was sent. */
  receipt: string | null;
  /** Fixes, e.g. `rename_column(email->email_address)`. */
  healed: string[];
  /** Values that Postgres stored differently, e.g. `price(1.239->1.24)`. */
  changed: string[];
  /** Where the payload is kept, where it could not land. */
  quarantine: string | null;
  /** The answer was given before under the same idempotency key; nothing was written a second time. */
  replayed: boolean;
}

/** Reads it off the headers of an answer. */
export function healingOf(headers: Headers): Healing {
  return {
    receipt: headers.get("mendgate-receipt"),
    healed: listed(headers.get("mendgate-healed")),
    changed: listed(headers.get("mendgate-changed")),
    quarantine: headers.get("mendgate-quarantine"),
    replayed: headers.get("mendgate-idempotent") === "replayed",
  };
}

/**
 * Runs a query of supabase-js and adds what was healed to its answer.
 *
 * @example
 * ```ts
 * import { createClient } from "@supabase/supabase-js";
 * const supabase = createClient(Deno.env.get("SUPABASE_URL")!, Deno.env.get("SUPABASE_SERVICE_ROLE_KEY")!);
 * const { error, healing } = await withReceipt(supabase.from("people").insert({ name: "Ann", email: "ann@example.org" }));
 * if (error || healing.healed[0] !== "rename_column(email->email_address)") throw new Error(JSON.stringify(healing));
 * ```
 */
export async function withReceipt<T>(query: PromiseLike<T>): Promise<T & { healing: Healing }> {
  let headers = new Headers();
  told(query as PostgrestLike, {}, (answer) => (headers = answer.headers));
  return { ...(await query), healing: healingOf(headers) };
}

/** `a(1), b(x, y)` as a list. */
export function listed(text: string | null): string[] {
  return text ? text.split(/, (?![^(]*\))/) : [];
}
