import { type Ask, askOf, type Connection, fromEnvironment, type SupabaseLike } from "./connection.ts";
import { MendgateError } from "./errors.ts";
import { later } from "./platform.ts";

/** The gateway's numbers over a window; see `GET /api/v1/metrics/summary`. */
// deno-lint-ignore no-explicit-any
export type Metrics = Record<string, any>;

/** What was recorded under one name since the last flush. Times in milliseconds. */
export interface Timings {
  name: string;
  count: number;
  errors: number;
  total_ms: number;
  /** How many took at most 1, 2, 4, … 65,536 ms; the last: longer. */
  buckets: number[];
}

const BUCKETS = 18;
const FLUSH_EVERY = 2_000;
const MOST_NAMES = 50;

/**
 * Measures what an edge function does and tells the gateway after the response. {@link performanceMonitor} is the usual one.
 *
 * @example
 * ```ts
 * const monitor = new PerformanceMonitor();
 * monitor.record("resize", 12.5);
 * if (monitor.pending()[0].count !== 1) throw new Error("one");
 * ```
 */
export class PerformanceMonitor {
  #ask: Ask | null = null;
  #linked = false;
  #timings = new Map<string, Timings>();
  #flushedAt = -Infinity;
  #flushing: Promise<void> = Promise.resolve();
  #next: Promise<void> | null = null;

  /** Says which gateway to tell. */
  connect(source: Connection | SupabaseLike): this {
    this.#ask = askOf(source);
    this.#linked = true;
    return this;
  }

  /** Records that something took so many milliseconds. Costs no round trip; at most 50 names, the rest goes under `other`. */
  record(name: string, ms: number, outcome: { ok?: boolean } = {}): void {
    if (!(ms >= 0 && ms < Infinity)) return; // one wrong number would cost all of them
    const timing = this.#timingOf(name);
    timing.count++;
    timing.total_ms += ms;
    timing.errors += outcome.ok === false ? 1 : 0;
    timing.buckets[Math.min(BUCKETS - 1, Math.max(0, Math.ceil(Math.log2(Math.max(ms, 1)))))]!++;
    if (Date.now() - this.#flushedAt < FLUSH_EVERY) return;
    this.#flushedAt = Date.now();
    later(this.flush());
  }

  /** Runs something and records how long it took. */
  async measure<T>(name: string, work: () => T | Promise<T>): Promise<T> {
    const began = performance.now();
    let ok = false;
    try {
      const result = await work();
      ok = true;
      return result;
    } finally {
      this.record(name, performance.now() - began, { ok });
    }
  }

  /** What was not told yet. */
  pending(): Timings[] {
    return [...this.#timings.values()];
  }

  /** Tells the gateway; called by itself, after the response where the platform lets us. Never rejects. */
  flush(): Promise<void> {
    return (this.#next ??= this.#flushing.then(() => {
      this.#next = null; // what is recorded from now on goes with the one after
      return (this.#flushing = this.#send().catch(() => undefined));
    }));
  }

  /** The gateway's numbers of the last seven days, beside their targets and the week before. */
  weekly(): Promise<Metrics> {
    return this.summary("7d");
  }

  /** The same over another window, e.g. `24h`. */
  async summary(window: string): Promise<Metrics> {
    const ask = this.#link();
    if (!ask) throw new MendgateError({ message: "No gateway is known", code: "no_connection", hint: "Set MENDGATE_URL and MENDGATE_KEY." });
    const answer = await ask(`/api/v1/metrics/summary?window=${encodeURIComponent(window)}`, { timeout: 10_000 });
    const body = await answer.json();
    if (!answer.ok) throw new MendgateError({ ...body, status: answer.status });
    return body;
  }

  async #send(): Promise<void> {
    const ask = this.#link();
    if (!ask || this.#timings.size === 0) return;
    const sent = this.#timings;
    this.#timings = new Map();
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify({ timings: [...sent.values()] });
    const told = await ask("/api/v1/metrics/edge", { method: "POST", headers, body, timeout: 1_000 }).catch(() => null);
    await told?.body?.cancel();
    if (told && told.status >= 500) for (const each of sent.values()) this.#add(each); // no answer: better lost than counted twice
  }

  #add(timing: Timings): void {
    const own = this.#timingOf(timing.name);
    own.count += timing.count;
    own.errors += timing.errors;
    own.total_ms += timing.total_ms;
    timing.buckets.forEach((count, index) => (own.buckets[index]! += count));
  }

  #timingOf(name: string): Timings {
    let timing = this.#timings.get(name);
    if (timing) return timing;
    if (this.#timings.size >= MOST_NAMES && name !== "other") return this.#timingOf("other");
    timing = { name, count: 0, errors: 0, total_ms: 0, buckets: new Array(BUCKETS).fill(0) };
    this.#timings.set(name, timing);
    return timing;
  }

  #link(): Ask | null {
    if (!this.#linked) {
      this.#linked = true;
      const connection = fromEnvironment();
      if (connection) this.#ask = askOf(connection);
    }
    return this.#ask;
  }
}

/**
 * The monitor of this isolate, for the gateway of `MENDGATE_URL` and `MENDGATE_KEY` (or `SUPABASE_URL` and `SUPABASE_SERVICE_ROLE_KEY`).
 *
 * @example
 * ```ts
 * const answer = await performanceMonitor.measure("summary", () => "done");
 * performanceMonitor.record("resize", 12.5);
 * await performanceMonitor.flush();
 * const week = await performanceMonitor.weekly();
 * console.log(answer, week.avg_insert_duration, week.targets, week.edge.resize?.p95);
 * ```
 */
export const performanceMonitor: PerformanceMonitor = new PerformanceMonitor();
