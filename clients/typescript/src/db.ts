import { surelyTold } from "./builder.ts";
import { askingAs, type SupabaseLike } from "./connection.ts";
import { MendgateError } from "./errors.ts";
import { type Healing, healingOf } from "./healing.ts";
import { matching, type Operation, queryOf, type Row } from "./operations.ts";
import { again, send, type Sending, type Sent } from "./sending.ts";
import { Spool, type Spooled, type SpoolOptions } from "./spool.ts";
import type { Insert, RowOf, TableName, Update } from "./tables.ts";
import { commit, TransactionBuilder, type TransactionOperation, type TransactionOptions, type TransactionResult } from "./transaction.ts";

/** How writes are sent; each can be said for one write, too. */
export interface WriteOptions {
  /** How often a write without an answer is sent again, under the same key; 4 unless said otherwise. */
  retries?: number;
  /** Milliseconds for one try; 15,000 unless said otherwise. */
  timeout?: number;
  /** `true` (the default): a fresh key for each write. A string: that key. `false`: none, and no second try. */
  idempotencyKey?: string | boolean;
  /** Lower than the table's policy: how far healing may go. */
  healing?: "off" | "exact" | "approved";
  /** What cannot land is accepted into quarantine (202) instead of an error. */
  acceptQuarantine?: boolean;
  /** Columns to give back, e.g. `*`; nothing unless said. */
  returning?: string;
  signal?: AbortSignal;
}

/** Options of {@link createResilientDb}. */
export interface ResilientDbOptions extends Omit<WriteOptions, "returning" | "signal" | "idempotencyKey"> {
  /** `false`: no keys, and no second try. One key for all writes would make them one write. */
  idempotencyKey?: boolean;
  /** Keeps writes on this machine while the gateway cannot be reached. */
  spool?: SpoolOptions;
  /** Throw errors instead of returning them. */
  throwOnError?: boolean;
}

/**
 * What became of a request: `error` is null exactly where it landed, was accepted into quarantine (`status` 202), or was spooled.
 *
 * @example
 * ```ts
 * const show = (answer: Answer<unknown>) => answer.error?.hint ?? answer.healing.healed.join(", ");
 * ```
 */
export interface Answer<T> {
  data: T | null;
  error: MendgateError | null;
  status: number;
  count: number | null;
  healing: Healing;
  /** The key it was sent under. */
  idempotencyKey: string | null;
  /** It waits on this machine, see {@link SpoolOptions}. */
  spooled: boolean;
}

/** How rows are chosen by {@link ResilientDb.select}. */
export interface SelectOptions {
  columns?: string;
  match?: Row;
  order?: string;
  ascending?: boolean;
  limit?: number;
  offset?: number;
  /** Exactly one row, as an object. */
  single?: boolean;
  count?: "exact" | "planned" | "estimated";
}

/** What became of a batch. `results` has one entry an operation, in order. */
export interface BatchResult {
  results: Answer<Row[]>[];
  succeeded: number;
  failed: number;
}

/**
 * A database client whose writes land once. Make one with {@link createResilientDb}.
 *
 * @example
 * ```ts
 * import { createClient } from "@supabase/supabase-js";
 * const db = createResilientDb(createClient(Deno.env.get("SUPABASE_URL")!, Deno.env.get("SUPABASE_SERVICE_ROLE_KEY")!));
 * await db.upsert("people", { id: 900, name: "Eve" }, { onConflict: "id" });
 * await db.update("people", { name: "Eva" }, { id: 900 });
 * const { data } = await db.select("people", { columns: "name", match: { id: 900 }, single: true });
 * if (data?.name !== "Eva") throw new Error(JSON.stringify(data));
 * await db.delete("people", { id: 900 });
 * ```
 */
// deno-lint-ignore no-explicit-any
export class ResilientDb<Database = any> {
  readonly #supabase: SupabaseLike;
  readonly #options: ResilientDbOptions;
  readonly #spool: Spool | null;

  constructor(supabase: SupabaseLike, options: ResilientDbOptions = {}) {
    this.#supabase = supabase;
    this.#options = options;
    this.#spool = options.spool ? new Spool(options.spool) : null;
  }

  /** Inserts a row, or several in one statement. */
  insert<T extends TableName<Database>>(table: T, rows: Insert<Database, T> | Insert<Database, T>[], options: WriteOptions = {}): Promise<Answer<RowOf<Database, T>[]>> {
    return this.#write({ op: "insert", table, rows: rows as Row }, options);
  }

  /** Inserts, or changes what is there under the same `onConflict` columns (the primary key unless said). */
  upsert<T extends TableName<Database>>(
    table: T,
    rows: Insert<Database, T> | Insert<Database, T>[],
    options: WriteOptions & { onConflict?: string; ignoreDuplicates?: boolean } = {},
  ): Promise<Answer<RowOf<Database, T>[]>> {
    const { onConflict, ignoreDuplicates } = options;
    return this.#write({ op: "upsert", table, rows: rows as Row, onConflict, ignoreDuplicates }, options);
  }

  /** Changes the rows that match. Refused where nothing is to match: that would be every row. */
  update<T extends TableName<Database>>(table: T, values: Update<Database, T>, match: Partial<RowOf<Database, T>>, options: WriteOptions = {}): Promise<Answer<RowOf<Database, T>[]>> {
    return this.#write({ op: "update", table, values: values as Row, match: match as Row }, options);
  }

  /** Deletes the rows that match. Refused where nothing is to match. */
  delete<T extends TableName<Database>>(table: T, match: Partial<RowOf<Database, T>>, options: WriteOptions = {}): Promise<Answer<RowOf<Database, T>[]>> {
    return this.#write({ op: "delete", table, match: match as Row }, options);
  }

  /** Reads. With `single` one row, else an array. */
  select<T extends TableName<Database>>(table: T, options: SelectOptions & { single: true }): Promise<Answer<RowOf<Database, T>>>;
  select<T extends TableName<Database>>(table: T, options?: SelectOptions): Promise<Answer<RowOf<Database, T>[]>>;
  // deno-lint-ignore no-explicit-any
  async select(table: string, options: SelectOptions = {}): Promise<Answer<any>> {
    const { columns = "*", match = {}, order, ascending = true, limit, offset = 0, single, count } = options;
    const make = () => {
      let query = matching(this.#supabase.from(table).select(columns, { count }), match);
      if (order) query = query.order(order, { ascending });
      if (limit !== undefined || offset) query = query.range(offset, limit === undefined ? MOST_ROWS : offset + limit - 1);
      return single ? query.single() : query;
    };
    return this.#given(untold(make) ?? answerOf(await send(make, { ...this.#sending({}), key: null, prefer: [] })));
  }

  /**
   * Runs many writes, each on its own: what cannot land does not hold the others up. At most `concurrency` (6) at a time.
   */
  async batch(operations: Operation[], options: WriteOptions & { concurrency?: number } = {}): Promise<BatchResult> {
    const results: Answer<Row[]>[] = new Array(operations.length);
    const left = operations.map((operation, index) => ({ operation, index })).reverse();
    const one = async () => {
      for (let next = left.pop(); next; next = left.pop()) results[next.index] = await this.#oneOf(next.operation, next.index, options);
    };
    await Promise.all(Array.from({ length: Math.max(1, options.concurrency ?? 6) }, one));
    const succeeded = results.filter((each) => !each.error).length;
    return { results, succeeded, failed: results.length - succeeded };
  }

  /** Runs several writes in one transaction: all land, healed where they need it, or none. */
  async transaction(plan: TransactionOperation[] | ((tx: TransactionBuilder) => void), options: TransactionOptions = {}): Promise<Answer<TransactionResult>> {
    const how = this.#sending({ ...options, acceptQuarantine: false }); // of a transaction nothing is kept
    const operations = typeof plan === "function" ? planned(plan) : plan;
    const body = JSON.stringify({ operations, isolation: options.isolation });
    if (await this.#mustWait()) return this.#given(failed(cannotWait("A transaction", how.key)));
    const { data, error, healing, key } = await again((key) => commit(askingAs(this.#supabase), body, how, key), how);
    return this.#given(error ? failed(error) : { data, error, status: 200, count: null, healing, idempotencyKey: key, spooled: false });
  }

  /** What a receipt says: what was sent, what was stored, and why they differ. */
  async receipt(id: string): Promise<Row> {
    const answer = await askingAs(this.#supabase)(`/api/v1/receipts/${id}`, { timeout: 15_000 });
    const body = await answer.json();
    if (!answer.ok) throw new MendgateError({ ...body, status: answer.status });
    return body;
  }

  /** Sends what waits on this machine, in order; gives the number that landed. Called by itself before the next write. */
  async flushSpool(): Promise<number> {
    return this.#spool ? await this.#spool.flush((write) => this.#deliver(write)) : 0;
  }

  /** What waits on this machine; with `aside` what the gateway refused later: only a person can decide on it. */
  async spooled(aside = false): Promise<Spooled[]> {
    return this.#spool ? await this.#spool.list(aside) : [];
  }

  async #oneOf(operation: Operation, index: number, options: WriteOptions): Promise<Answer<Row[]>> {
    const { idempotencyKey: key } = options;
    try {
      return await this.#write(operation, typeof key === "string" ? { ...options, idempotencyKey: `${key}#${index}` } : options);
    } catch (error) {
      return failed(error instanceof MendgateError ? error : new MendgateError({ message: String(error), cause: error }));
    }
  }

  // deno-lint-ignore no-explicit-any
  async #write(operation: Operation, options: WriteOptions): Promise<Answer<any>> {
    const how = this.#sending(options);
    const returning = options.returning ?? null;
    const refused = untold(() => surelyTold(queryOf(this.#supabase, operation, null), {}, () => undefined)); // before anything is sent
    if (refused) return this.#given(refused);
    if (!options.signal?.aborted && (await this.#mustWait())) {
      if (!how.key) return this.#given(failed(cannotWait("A write without a key", null)));
      return this.#kept({ key: how.key, operation, prefer: how.prefer, returning }, null);
    }
    const sent = await send(() => queryOf(this.#supabase, operation, returning), how);
    const later = sent.error && !options.signal?.aborted && ["unknown", "busy"].includes(sent.error.kind);
    if (this.#spool && sent.key && later) return this.#kept({ key: sent.key, operation, prefer: how.prefer, returning }, sent);
    return this.#given(answerOf(sent));
  }

  /** Older writes go first; true where they still cannot. */
  async #mustWait(): Promise<boolean> {
    if (!this.#spool || (await this.#spool.isEmpty())) return false;
    await this.flushSpool();
    return !(await this.#spool.isEmpty());
  }

  async #kept(write: Omit<Spooled, "at" | "why">, sent: Sent | null): Promise<Answer<null>> {
    const { key } = write;
    if (await this.#spool!.keep(write)) {
      const healing = healingOf(new Headers());
      return { data: null, error: null, status: 202, count: null, healing, idempotencyKey: key, spooled: true };
    }
    const full = new MendgateError({ message: "The spool is full", kind: "busy", code: "spool_full", hint: "Send it again later.", idempotencyKey: key });
    return this.#given(sent ? answerOf(sent) : failed(full));
  }

  async #deliver(write: Spooled): Promise<string> {
    const how = { ...this.#sending({ retries: 0 }), key: write.key, prefer: write.prefer };
    const { error, key } = await send(() => queryOf(this.#supabase, write.operation, write.returning), how);
    if (!error || error.kind === "kept") return "landed"; // in quarantine it is in good hands, too
    if (error.kind === "unknown" && !key) return "It was sent without a key, and no answer came: perhaps it was written.";
    const signedOut = error.status === 401 && error.code !== "42501"; // signed in again it may go; a right that is lacking holds nothing up
    return error.kind === "unknown" || error.kind === "busy" || signedOut ? "wait" : `${error.code} ${error.message}`;
  }

  #sending(options: WriteOptions): Sending {
    const { retries = 4, timeout = 15_000, idempotencyKey = true, healing, acceptQuarantine } = { ...this.#options, ...defined(options) };
    const prefer = [healing ? `healing=${healing}` : "", acceptQuarantine ? "quarantine=accept" : ""].filter(Boolean);
    const key = idempotencyKey === true ? crypto.randomUUID() : idempotencyKey || null;
    return { key, prefer, retries, timeout, signal: options.signal };
  }

  #given<T>(answer: Answer<T>): Answer<T> {
    if (answer.error && this.#options.throwOnError) throw answer.error;
    return answer;
  }
}

/**
 * Wraps a supabase-js client whose URL is the gateway: writes get idempotency keys, safe retries, typed errors, and say what was healed.
 *
 * @example
 * ```ts
 * import { createClient } from "@supabase/supabase-js";
 * const db = createResilientDb(createClient(Deno.env.get("SUPABASE_URL")!, Deno.env.get("SUPABASE_SERVICE_ROLE_KEY")!));
 * const { error, healing } = await db.insert("people", { name: "Ann", email: "ann@example.org" });
 * if (error) throw error;
 * console.log(healing.healed); // ["rename_column(email->email_address)"]
 * ```
 */
// deno-lint-ignore no-explicit-any
export function createResilientDb<Database = any>(supabase: SupabaseLike, options: ResilientDbOptions = {}): ResilientDb<Database> {
  return new ResilientDb<Database>(supabase, options);
}

const MOST_ROWS = 2 ** 31 - 1;

function answerOf(sent: Sent): Answer<never> {
  const { answer, healing, error, key } = sent;
  return { data: answer.data, error, status: answer.status, count: answer.count ?? null, healing, idempotencyKey: key, spooled: false };
}

function failed(error: MendgateError): Answer<never> {
  const healing = { ...healingOf(new Headers()), quarantine: error.quarantine };
  return { data: null, error, status: error.status, count: null, healing, idempotencyKey: error.idempotencyKey, spooled: false };
}

function planned(plan: (tx: TransactionBuilder) => void): TransactionOperation[] {
  const tx = new TransactionBuilder();
  plan(tx);
  return tx.operations;
}

/** What is wrong with a request before it is sent; null where nothing is. */
function untold(make: () => unknown): Answer<never> | null {
  try {
    make();
    return null;
  } catch (error) {
    if (error instanceof MendgateError) return failed(error);
    throw error;
  }
}

function cannotWait(what: string, key: string | null): MendgateError {
  const message = `${what} cannot wait here behind older writes, and must not overtake them`;
  return new MendgateError({ message, kind: "busy", code: "spool_waiting", hint: "Send it again when spooled() is empty.", idempotencyKey: key });
}

function defined<T extends object>(options: T): Partial<T> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<T>;
}

