// One write on its way: the same idempotency key until an answer comes, so that it has one effect however often it is sent.
import { type Extra, type PostgrestAnswer, type PostgrestLike, surelyTold } from "./builder.ts";
import { kindOf, MendgateError } from "./errors.ts";
import { type Healing, healingOf } from "./healing.ts";
import { limit, sleep } from "./platform.ts";

/** How a write is sent. */
export interface Sending {
  key: string | null;
  prefer: readonly string[];
  retries: number;
  timeout: number;
  signal?: AbortSignal;
}

/** What came of it, before it is put into the caller's form. */
export interface Sent {
  answer: PostgrestAnswer;
  healing: Healing;
  error: MendgateError | null;
  key: string | null;
}

const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 5_000;
const NO_KEYS = "MG501";

/** Sends what `make` makes, see {@link again}. */
export function send(make: () => PostgrestLike, how: Sending): Promise<Sent> {
  return again((key) => once(make(), how, key), how);
}

/** Sends again and again under one key while the outcome is unknown or the gateway is busy. */
export async function again<T extends { error: MendgateError | null }>(once: (key: string | null) => Promise<T>, how: Sending): Promise<T> {
  let key = how.key;
  for (let attempt = 0; ; attempt++) {
    const sent = await once(key);
    const { error } = sent;
    if (error?.code === NO_KEYS && key !== null) {
      key = null; // the target has no place for keys: nothing was written, send it once without
      attempt = how.retries;
    } else if (!error || !worthAnother(error) || key === null || attempt >= how.retries || how.signal?.aborted) {
      return sent;
    } else {
      await sleep(pause(attempt, error), how.signal);
    }
  }
}

async function once(query: PostgrestLike, how: Sending, key: string | null): Promise<Sent> {
  let headers = new Headers();
  const extra: Extra = { prefer: how.prefer, signal: limit(how.timeout, how.signal) };
  if (key) extra.headers = { "idempotency-key": key };
  surelyTold(query, extra, (answer) => (headers = answer.headers));
  const answer = await query;
  const healing = healingOf(headers);
  return { answer, healing, key, error: errorOf(answer, headers, healing, key) };
}

/** The error of an answer, if it is one. */
export function errorOf(answer: PostgrestAnswer, headers: Headers, healing: Healing, key: string | null): MendgateError | null {
  const { error, status } = answer;
  if (!error) return null;
  const after = Number(headers.get("retry-after"));
  return new MendgateError({
    message: error.message,
    kind: kindOf(status, error.code ?? "", healing.quarantine),
    code: error.code,
    status,
    details: error.details,
    hint: error.hint || (status === 0 && key ? "No answer came. Send it again with the same idempotencyKey: it is written once." : null),
    quarantine: healing.quarantine,
    idempotencyKey: key,
    retryAfterMs: after > 0 ? after * 1000 : null,
  });
}

function worthAnother(error: MendgateError): boolean {
  return error.kind === "busy" || error.kind === "unknown";
}

function pause(attempt: number, error: MendgateError): number {
  const jittered = FIRST_PAUSE * 2 ** attempt * (0.5 + Math.random());
  return Math.min(LONGEST_PAUSE, Math.max(jittered, error.retryAfterMs ?? 0));
}
