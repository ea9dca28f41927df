/**
 * What a caller can do about an error:
 *
 * `kept`: nothing was written, the payload waits in quarantine · `refused`: nothing was written, the request must change ·
 * `forbidden`: these credentials may not · `busy`: nothing was written, send it again later · `unknown`: no answer came; send it again
 * with the same `idempotencyKey` and it is written once · `open`: a breaker is open · `timeout`: a guarded call took too long.
 */
export type ErrorKind = "kept" | "refused" | "forbidden" | "busy" | "unknown" | "open" | "timeout";

/** The parts of a {@link MendgateError}; all but the message may be left out. */
export interface ErrorParts {
  message: string;
  kind?: ErrorKind;
  code?: string;
  status?: number;
  details?: string | null;
  hint?: string | null;
  quarantine?: string | null;
  idempotencyKey?: string | null;
  retryAfterMs?: number | null;
  cause?: unknown;
}

/**
 * Every error of this client: what happened, why, and what to do next.
 *
 * @example
 * ```ts
 * const error = new MendgateError({ message: "No such column", code: "PGRST204", hint: "It is called email_address now.", kind: "kept" });
 * if (error.kind !== "kept" || !error.hint?.includes("email_address")) throw error;
 * ```
 */
export class MendgateError extends Error {
  /** What the caller can do about it. */
  readonly kind: ErrorKind;
  /** The gateway's, PostgREST's or Postgres's code, e.g. `PGRST204`, `23505`, `MG409`; `""` where no answer came. */
  readonly code: string;
  /** The HTTP status; 0 where no answer came. */
  readonly status: number;
  /** More about it, where there is more. */
  readonly details: string | null;
  /** What to do next. */
  readonly hint: string | null;
  /** Where the payload is kept. */
  readonly quarantine: string | null;
  /** The key to send the same write again with. */
  readonly idempotencyKey: string | null;
  /** Milliseconds to wait before the next try, where that is known. */
  readonly retryAfterMs: number | null;

  constructor(parts: ErrorParts) {
    super(parts.message, parts.cause === undefined ? undefined : { cause: parts.cause });
    this.name = "MendgateError";
    this.kind = parts.kind ?? "refused";
    this.code = parts.code ?? "";
    this.status = parts.status ?? 0;
    this.details = parts.details ?? null;
    this.hint = parts.hint ?? null;
    this.quarantine = parts.quarantine ?? null;
    this.idempotencyKey = parts.idempotencyKey ?? null;
    this.retryAfterMs = parts.retryAfterMs ?? null;
  }
}

/** What an error answer means for the caller. */
export function kindOf(status: number, code: string, quarantine: string | null): ErrorKind {
  if (quarantine) return "kept";
  if (status === 0 || status === 504 || status === 502 || status === 408 || status >= 520) return "unknown";
  if (status === 500 && (!code || code === "MG500")) return "unknown"; // a fault, not a refusal: where it struck is not known
  if (status === 401 || status === 403) return "forbidden";
  if (status === 503 || status === 429 || code === "MG409") return "busy";
  return "refused";
}
