import { type Connection, askOf, fromEnvironment, type SupabaseLike } from "./connection.ts";
import { Counting } from "./counting.ts";
import { MendgateError } from "./errors.ts";
import { type Report, Shared, type View } from "./shared.ts";

/** What a breaker is wished to be; what an operator sets in the dashboard goes before it. Times in milliseconds. */
export interface BreakerSettings {
  /** It opens at so many failures in a minute that are at least half of the calls; 5 unless said otherwise. */
  failureThreshold?: number;
  /** How long it stays open at first; 60,000 unless said otherwise. */
  timeout?: number;
  /** A call that takes longer has failed; 30,000 unless said otherwise, `Infinity` for no limit. */
  callTimeout?: number;
  /** What an error says about the service: false = nothing (the caller's own fault). Aborts and 4xx are no failures unless said otherwise. */
  isFailure?: (error: unknown) => boolean;
}

/** The call that is guarded. It gets a signal that aborts at `callTimeout`, if it asks for one. */
export type Call<T> = (signal: AbortSignal) => T | Promise<T>;
/** Answers where the call does not. Gets why. */
export type Fallback<T> = (error: Error) => T | Promise<T>;

type Now = () => number;
interface Trial {
  local: boolean;
  token?: string;
}
const NONE: Trial = { local: false };
const SAMPLE = 10;
const MOST_WEIGHT = 1_000;
const REPORT_EVERY = 1_000;

/**
 * A circuit breaker that all isolates share, see {@link CircuitBreakerRegistry.getBreaker}.
 *
 * @example
 * ```ts
 * const mail: CircuitBreaker = circuitBreakerRegistry.getBreaker("mail", { failureThreshold: 5, timeout: 60_000 });
 * const sent = await mail.execute(() => Promise.reject(new Error("no connection")), () => "kept for later");
 * if (sent !== "kept for later") throw new Error(sent);
 * ```
 */
export class CircuitBreaker {
  readonly name: string;
  readonly #callTimeout: number;
  readonly #now: Now;
  readonly #wish: object;
  readonly #isFailure: (error: unknown) => boolean;
  readonly #counting: Counting;
  readonly #home: Home;
  #version = 0;
  #successes = 0;
  #sampleAt = 0; // drawn at the first call: workers give no random values before
  #weight = 0;
  #reportedAt = -Infinity;
  #readyUntil = -Infinity;

  /** Use {@link CircuitBreakerRegistry.getBreaker}. */
  constructor(name: string, settings: BreakerSettings, home: Home) {
    const { failureThreshold = 5, timeout = 60_000, callTimeout = 30_000, isFailure = saysSomething } = settings;
    this.name = name;
    this.#callTimeout = callTimeout;
    this.#now = home.now;
    this.#wish = { failure_threshold: failureThreshold, minimum_calls: failureThreshold, timeout: timeout / 1000 };
    this.#isFailure = isFailure;
    this.#counting = new Counting({ failureThreshold, timeout });
    this.#home = home;
  }

  /** `closed`, `open` or `half_open`, as far as it is known here now. */
  get state(): string {
    const now = this.#now();
    if (!this.#counting.closed) return "open";
    return this.#home.shared()?.view(this.name, now)?.state ?? "closed";
  }

  /**
   * Calls through the breaker. Where the breaker is open, the call fails, or answers with a `Response` of 408, 429 or 5xx, the fallback
   * answers; without one the error is thrown, or that `Response` given. Never waits for the gateway longer than half a second.
   */
  execute<T>(call: Call<T>, fallback?: Fallback<T>): Promise<T> {
    const now = this.#now === Date.now ? Date.now() : this.#now(); // called by its name it is compiled into the caller
    if (now < this.#readyUntil && this.#counting.closed) {
      if (this.#callTimeout === Infinity && call.length === 0) return this.#quick(call, fallback, now);
      return this.#run(call, fallback, now, NONE, this.#version);
    }
    return this.#weigh(call, fallback, now);
  }

  /** Nothing stands in the way and no time is limited: `#run` without what such a call does not need. */
  #quick<T>(call: Call<T>, fallback: Fallback<T> | undefined, began: number): Promise<T> {
    let answer: T | Promise<T>;
    try {
      answer = (call as () => T | Promise<T>)();
    } catch (error) {
      return new Promise((resolve) => resolve(this.#threw(error, fallback, began, NONE, this.#version)));
    }
    const version = this.#version;
    return (answer instanceof Promise ? answer : Promise.resolve(answer)).then(
      (found) => {
        if (typeof found === "object") return this.#judged(found, fallback, began, NONE, version);
        if (++this.#successes >= this.#sampleAt) this.#succeeded(began, NONE, version);
        return found;
      },
      (error) => this.#threw(error, fallback, began, NONE, version),
    );
  }

  async #weigh<T>(call: Call<T>, fallback: Fallback<T> | undefined, now: number): Promise<T> {
    const shared = this.#home.shared();
    await shared?.refresh(now);
    now = this.#now();
    const view = shared?.view(this.name, now);
    const local = this.#counting.ask(now);
    if (typeof local === "number") return refuse(this.name, local, fallback);
    const trial: Trial = { local: local === "trial" };
    const wait = await this.#sharedWait(shared, view, trial, now);
    if (wait > 0) {
      if (trial.local) this.#counting.gaveBack();
      return refuse(this.name, wait, fallback);
    }
    if (shared?.knows(now) && !view) shared.introduce(this.name, this.#wish);
    this.#version = view?.version ?? 0;
    this.#sampleAt ||= drawn();
    if (!view || view.allows === "all") this.#readyUntil = shared ? shared.freshUntil : Infinity;
    return this.#run(call, fallback, now, trial, this.#version);
  }

  /** Milliseconds that the shared breaker wants us to wait; 0 = go. Asks for a permit where one is needed. */
  async #sharedWait(shared: Shared | null, view: View | undefined, trial: Trial, now: number): Promise<number> {
    if (!shared || !view || view.allows === "all") return 0;
    if (view.allows === "some") return Math.random() < view.ramp ? 0 : 1;
    const left = view.remaining_ms - (now - shared.at);
    if (view.allows === "none" && left > 0) return left;
    const permit = await shared.acquire(this.name, this.#wish);
    if (permit?.allowed === false) return Math.max(1, permit.retry_after_ms);
    trial.token = permit?.token ?? undefined;
    return 0;
  }

  async #run<T>(call: Call<T>, fallback: Fallback<T> | undefined, began: number, trial: Trial, version: number): Promise<T> {
    let answer: T;
    try {
      answer = await bounded(call, this.#callTimeout, this.name);
    } catch (error) {
      return this.#threw(error, fallback, began, trial, version);
    }
    return this.#judged(answer, fallback, began, trial, version);
  }

  #threw<T>(error: unknown, fallback: Fallback<T> | undefined, began: number, trial: Trial, version: number): T | Promise<T> {
    this.#settle(this.#isFailure(error) ? "failure" : "excluded", began, trial, version, error);
    if (!fallback) throw error;
    return fallback(error instanceof Error ? error : new Error(String(error)));
  }

  #judged<T>(answer: T, fallback: Fallback<T> | undefined, began: number, trial: Trial, version: number): T | Promise<T> {
    if (answer instanceof Response && answer.status >= 400) return this.#answered(answer, fallback, began, trial, version);
    if (++this.#successes >= this.#sampleAt || trial !== NONE) this.#succeeded(began, trial, version);
    return answer;
  }

  /** Successes since the last time go into the count now: about one call in ten comes here. */
  #countSuccesses(now: number): void {
    this.#counting.succeeded(now, this.#successes);
    this.#sampleAt -= this.#successes;
    this.#successes = 0;
  }

  #succeeded(began: number, trial: Trial, version: number): void {
    const now = this.#now();
    this.#countSuccesses(now);
    if (trial.local) this.#counting.close();
    if (trial.token) return this.#report({ name: this.name, outcome: "ok", ms: now - began, token: trial.token, version, id: crypto.randomUUID() });
    if (this.#sampleAt > 0) return;
    this.#sampleAt = drawn();
    this.#weight = Math.min(MOST_WEIGHT, this.#weight + SAMPLE);
    if (now - this.#reportedAt < REPORT_EVERY && this.#weight < MOST_WEIGHT) return;
    this.#reportedAt = now;
    this.#report({ name: this.name, outcome: "ok", ms: now - began, weight: this.#weight, version, id: crypto.randomUUID() });
    this.#weight = 0;
  }

  /** An HTTP answer of 4xx or 5xx. */
  #answered<T>(answer: T & Response, fallback: Fallback<T> | undefined, began: number, trial: Trial, version: number): T | Promise<T> {
    const { status } = answer;
    const failed = status >= 500 || status === 408;
    this.#settle(failed ? "failure" : "excluded", began, trial, version, `HTTP ${status}`);
    if (!fallback || !(failed || status === 429)) return answer;
    answer.body?.cancel().catch(() => undefined);
    return fallback(new MendgateError({ message: `${this.name} answered ${status}`, status, code: String(status), kind: "busy" }));
  }

  #settle(outcome: "failure" | "excluded", began: number, trial: Trial, version: number, error: unknown): void {
    const now = this.#now();
    this.#countSuccesses(now);
    if (outcome === "failure") this.#counting.failed(now, trial.local, Math.random());
    else if (trial.local) this.#counting.gaveBack();
    if (outcome === "excluded" && !trial.token) return;
    this.#readyUntil = -Infinity; // look again: this may have opened it for all
    const said = String(error).slice(0, 300);
    this.#report({ name: this.name, outcome, ms: now - began, token: trial.token, version, id: crypto.randomUUID(), error: said });
  }

  #report(report: Report): void {
    if (!report.version) delete report.version;
    this.#home.shared()?.report(report);
  }
}

/** What breakers share: the clock, and the gateway where there is one. */
export interface Home {
  now: Now;
  shared(): Shared | null;
}

/**
 * The breakers of this isolate by name. {@link circuitBreakerRegistry} is the usual one.
 *
 * @example
 * ```ts
 * const alone = new CircuitBreakerRegistry(null); // no gateway: each isolate counts for itself
 * const answer = await alone.getBreaker("weather").execute(() => "sunny");
 * if (answer !== "sunny") throw new Error(answer);
 * ```
 */
export class CircuitBreakerRegistry {
  readonly #breakers = new Map<string, CircuitBreaker>();
  #link: Shared | null = null;
  #linked: boolean;
  readonly #home: Home;

  /** `connection`: the gateway; null for none; the environment's unless said. `now`: a clock in milliseconds. */
  constructor(connection?: Connection | null, now: () => number = Date.now) {
    this.#linked = connection !== undefined;
    this.#home = { now, shared: () => (this.#linked ? this.#link : this.#connectByEnvironment()) };
    if (connection) this.connect(connection);
  }

  /** Says which gateway to share the breakers through. */
  connect(source: Connection | SupabaseLike): this {
    this.#link = new Shared(askOf(source), this.#home.now);
    this.#linked = true;
    return this;
  }

  /**
   * The breaker of this name; the same one for the same name. Settings count when it is first asked for.
   *
   * @example
   * ```ts
   * const weather = circuitBreakerRegistry.getBreaker("weather", { failureThreshold: 3, timeout: 30_000 });
   * console.log(await weather.execute(() => "sunny", () => "nobody knows"));
   * ```
   */
  getBreaker(name: string, settings: BreakerSettings = {}): CircuitBreaker {
    let breaker = this.#breakers.get(name);
    if (!breaker) this.#breakers.set(name, (breaker = new CircuitBreaker(name, settings, this.#home)));
    return breaker;
  }

  /** Resolves when everything that was to be reported has been sent, or cannot be. Only for programs that end by themselves. */
  async flush(): Promise<void> {
    await this.#link?.flush();
  }

  #connectByEnvironment(): Shared | null {
    this.#linked = true;
    const connection = fromEnvironment();
    if (connection) this.connect(connection);
    return this.#link;
  }
}

/**
 * The breakers of this isolate, shared through the gateway of `MENDGATE_URL` and `MENDGATE_KEY` (or `SUPABASE_URL` and
 * `SUPABASE_SERVICE_ROLE_KEY`). While it is away, the isolate counts for itself.
 *
 * @example
 * ```ts
 * const ai = circuitBreakerRegistry.getBreaker("ai-summaries", { failureThreshold: 5, timeout: 60_000 });
 * const text = "A long letter. It goes on.";
 * const summary = await ai.execute(() => Promise.reject(new Error("the AI is down")), () => text.split(". ")[0]);
 * if (summary !== "A long letter") throw new Error(summary);
 * ```
 */
export const circuitBreakerRegistry: CircuitBreakerRegistry = new CircuitBreakerRegistry();

/** On average one in ten, at no one's rhythm. */
function drawn(): number {
  return 1 + Math.floor(Math.random() * (2 * SAMPLE - 1));
}

function refuse<T>(name: string, ms: number, fallback: Fallback<T> | undefined): T | Promise<T> {
  const hint = `Give execute() a fallback, or try again in ${Math.ceil(ms / 1000)} s.`;
  const error = new MendgateError({ message: `The breaker ${name} is open`, kind: "open", code: "breaker_open", hint, retryAfterMs: ms });
  if (!fallback) throw error;
  return fallback(error);
}

function bounded<T>(call: Call<T>, ms: number, name: string): T | Promise<T> {
  const abort = call.length > 0 ? new AbortController() : null;
  const answer = abort ? call(abort.signal) : (call as () => T | Promise<T>)();
  if (ms === Infinity || !(answer instanceof Promise)) return answer;
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      const error = new MendgateError({ message: `${name} did not answer within ${ms} ms`, kind: "timeout", code: "call_timeout" });
      reject(error);
      abort?.abort(error);
    }, ms);
    answer.then(
      (value) => (clearTimeout(timer), resolve(value)),
      (error) => (clearTimeout(timer), reject(error)),
    );
  });
}

/** A cancelled call and an error of 4xx (but 408) say nothing about the service. */
function saysSomething(error: unknown): boolean {
  const { name, status } = (error ?? {}) as { name?: string; status?: unknown };
  if (name === "AbortError") return false;
  return typeof status !== "number" || status < 400 || status >= 500 || status === 408;
}
