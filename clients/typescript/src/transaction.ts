// Several writes that land together or not at all: POST /api/v1/transactions.
import type { Ask } from "./connection.ts";
import { kindOf, MendgateError } from "./errors.ts";
import { type Healing, healingOf, listed } from "./healing.ts";
import type { Row } from "./operations.ts";
import type { Sending } from "./sending.ts";

/** A value that an earlier operation of the same transaction gives, e.g. `{ $ref: "order.0.id" }`. */
export interface Ref {
  $ref: string;
}

/** One operation of a transaction. Values and `match` may hold a {@link Ref}. */
export interface TransactionOperation {
  op: "insert" | "upsert" | "update" | "delete";
  table: string;
  /** For insert and upsert. */
  rows?: Row[];
  /** For update. */
  values?: Row;
  /** For update and delete: columns with the values that they must have. */
  match?: Row;
  /** For update and delete: a filter as PostgREST writes it in a URL, e.g. `age=gt.18`. */
  filter?: string;
  /** For upsert. */
  on_conflict?: string;
  /** For upsert. */
  ignore_duplicates?: boolean;
  /** A name for `$ref`. */
  as?: string;
  /** If this operation cannot land, undo only it and go on. */
  savepoint?: boolean;
  /** Columns to give back; without it only what later operations refer to. */
  select?: string;
}

/** What became of one operation. */
export interface OperationResult {
  status: number;
  rows: Row[];
  count: number;
  healed?: string;
  changed?: string;
  receipt?: string;
  /** Of an operation with a savepoint that could not land. */
  error?: { code: string; message: string; details: string | null; hint: string | null };
}

/** What became of a transaction that was committed. */
export interface TransactionResult {
  operations: OperationResult[];
  receipt: string | null;
  attempts: number;
}

/** How a transaction is run. */
export interface TransactionOptions {
  isolation?: "read committed" | "repeatable read" | "serializable";
  /** One key, one effect; a fresh one unless given. `false`: none, and no second try. */
  idempotencyKey?: string | boolean;
  /** Lower than the tables' policies: how far healing may go. */
  healing?: "off" | "exact" | "approved";
  retries?: number;
  timeout?: number;
  signal?: AbortSignal;
}

/**
 * An operation that was added to a {@link TransactionBuilder}; `ref` names a value that it will give.
 *
 * @example
 * ```ts
 * const order = new Planned("order");
 * if (order.ref("id").$ref !== "order.0.id") throw new Error("order.0.id");
 * ```
 */
export class Planned {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  /** The value of a column of one of its rows, for later operations. */
  ref(column: string, row = 0): Ref {
    return { $ref: `${this.name}.${row}.${column}` };
  }
}

/**
 * Collects the operations of one transaction. Nothing is sent before all are known.
 *
 * @example
 * ```ts
 * const tx = new TransactionBuilder();
 * const order = tx.insert("orders", { customer: "Ann" });
 * tx.insert("items", { order_id: order.ref("id"), title: "Tea" });
 * if (tx.operations.length !== 2) throw new Error("two");
 * ```
 */
export class TransactionBuilder {
  readonly operations: TransactionOperation[] = [];

  /** Adds an insert. */
  insert(table: string, rows: Row | Row[], more: Partial<TransactionOperation> = {}): Planned {
    return this.#add({ op: "insert", table, rows: [rows].flat(), ...more });
  }

  /** Adds an upsert. */
  upsert(table: string, rows: Row | Row[], more: Partial<TransactionOperation> = {}): Planned {
    return this.#add({ op: "upsert", table, rows: [rows].flat(), ...more });
  }

  /** Adds an update of the rows that match. */
  update(table: string, values: Row, match: Row, more: Partial<TransactionOperation> = {}): Planned {
    return this.#add({ op: "update", table, values, match, ...more });
  }

  /** Adds a delete of the rows that match. */
  delete(table: string, match: Row, more: Partial<TransactionOperation> = {}): Planned {
    return this.#add({ op: "delete", table, match, ...more });
  }

  #add(operation: TransactionOperation): Planned {
    const name = operation.as ?? `op${this.operations.length}`;
    this.operations.push({ ...operation, as: name });
    return new Planned(name);
  }
}

/** What came of sending a transaction once. */
export interface Committed {
  data: TransactionResult | null;
  error: MendgateError | null;
  healing: Healing;
  key: string | null;
}

/** Sends a transaction once. */
export async function commit(ask: Ask, body: string, how: Sending, key: string | null): Promise<Committed> {
  const headers: Record<string, string> = { "content-type": "application/json" };
  if (key) headers["idempotency-key"] = key;
  if (how.prefer.length) headers["prefer"] = how.prefer.join(",");
  let healing = healingOf(new Headers());
  try {
    const answer = await ask("/api/v1/transactions", { method: "POST", headers, body, timeout: how.timeout, signal: how.signal });
    const found = answer.ok ? await answer.json() : await answer.json().catch(() => ({})); // cut in the middle, a success is no answer
    healing = healingOf(answer.headers);
    if (!answer.ok) return { data: null, error: refused(answer, found, key), healing, key };
    const of = (what: "healed" | "changed") => (found as TransactionResult).operations.flatMap((each) => listed(each[what] ?? null));
    return { data: found, error: null, healing: { ...healing, healed: of("healed"), changed: of("changed") }, key };
  } catch (cause) {
    return { data: null, error: unanswered(cause, key), healing, key };
  }
}

function unanswered(cause: unknown, key: string | null): MendgateError {
  const hint = key ? "Send it again with the same idempotencyKey: it is written once." : null;
  return new MendgateError({ message: `No answer came: ${cause}`, kind: "unknown", hint, idempotencyKey: key, cause });
}

function refused(answer: Response, error: Partial<MendgateError>, key: string | null): MendgateError {
  const { message = `HTTP ${answer.status}`, code, details, hint } = error;
  const quarantine = answer.headers.get("mendgate-quarantine");
  const after = Number(answer.headers.get("retry-after"));
  const kind = kindOf(answer.status, code ?? "", quarantine);
  const retryAfterMs = after > 0 ? after * 1000 : null;
  return new MendgateError({ message, code, status: answer.status, details, hint, kind, quarantine, idempotencyKey: key, retryAfterMs });
}
