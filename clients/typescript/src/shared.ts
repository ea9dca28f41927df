// What all isolates know together: a snapshot a few seconds old, permits for trials, and reports after the response. No timers.
import type { Ask } from "./connection.ts";
import { later } from "./platform.ts";

const API = "/api/v1/breakers";
const FRESH = 2_000;
const STALE = 5_000;
const GRACE = 100;
const PATIENCE = 500;
const MOST_WAITING = 100;
const MOST_SENT = 500;

/** A breaker as the gateway tells of it. */
export interface View {
  name: string;
  state: string;
  allows: "all" | "some" | "ask" | "none";
  remaining_ms: number;
  version: number;
  ramp: number;
}

/** How a call ended, for the gateway. */
export interface Report {
  name: string;
  outcome: "ok" | "failure" | "excluded";
  ms: number;
  id: string;
  weight?: number;
  token?: string;
  version?: number;
  error?: string;
}

/** The answer to "may I make one trial call?". */
export interface Permit {
  allowed: boolean;
  token: string | null;
  retry_after_ms: number;
}

/** The shared side of a registry. Every method is bounded in time and none rejects: without an answer, calls go through. */
export class Shared {
  /** When the snapshot came; -Infinity where there is none. */
  at: number = -Infinity;
  /** Until then a breaker that is closed needs no second look. */
  freshUntil: number = -Infinity;
  readonly #ask: Ask;
  readonly #now: () => number;
  #views = new Map<string, View>();
  #etag = "";
  #looking: Promise<void> | null = null;
  #awayUntil = -Infinity;
  #waiting: Report[] = [];
  #sending: Promise<void> | null = null;
  #introducing: Promise<unknown> = Promise.resolve();
  readonly #introduced = new Set<string>();
  #isolate: string | null = null; // made at the first call: workers give no random values before

  constructor(ask: Ask, now: () => number) {
    this.#ask = ask;
    this.#now = now;
  }

  /** The view of a breaker, at most five seconds old; undefined where nothing is known of it. */
  view(name: string, now: number): View | undefined {
    return now - this.at < STALE ? this.#views.get(name) : undefined;
  }

  /** Whether a snapshot came lately, so that a name that is not in it is unknown to the gateway. */
  knows(now: number): boolean {
    return now - this.at < STALE;
  }

  /** Gets a newer snapshot: waited for where there is none that can be used, else behind the caller's back. */
  refresh(now: number): Promise<void> | undefined {
    if (now < this.#awayUntil || now - this.at < FRESH) return undefined;
    this.#looking ??= this.#look().finally(() => (this.#looking = null));
    if (now - this.at >= STALE) return this.#looking;
    this.freshUntil = Math.min(this.at + STALE, now + GRACE); // meanwhile what is known will do
    later(this.#looking);
    return undefined;
  }

  /** Asks for a trial; null where the gateway does not answer. */
  async acquire(name: string, settings: object): Promise<Permit | null> {
    this.#introduced.add(name);
    const answer = await this.#post(`/${encodeURIComponent(name)}/acquire`, { settings });
    return (await answer?.json().catch(() => void this.#away())) ?? null;
  }

  /** Makes the breaker known with the settings that the code wishes, once. */
  introduce(name: string, settings: object): void {
    if (this.#introduced.has(name) || this.#now() < this.#awayUntil) return;
    this.#introduced.add(name);
    const told = this.acquire(name, settings).then((answer) => void (answer ?? this.#introduced.delete(name)));
    this.#introducing = Promise.all([this.#introducing, told]);
    later(told);
  }

  /** Reports after the response where the platform lets us, else at once. */
  report(report: Report): void {
    this.#waiting.push(report);
    if (this.#waiting.length > MOST_WAITING && this.#now() < this.#awayUntil) this.#waiting.splice(0, this.#waiting.length - MOST_WAITING);
    later(this.flush());
  }

  /** Sends what is waiting; resolves when it was sent, or cannot be. */
  flush(): Promise<void> {
    return (this.#sending ??= Promise.resolve().then(() => this.#sendAll()).finally(() => (this.#sending = null)));
  }

  async #sendAll(): Promise<void> {
    await this.#introducing; // a breaker comes to be with its first report, too: the wishes must be there before
    while (this.#waiting.length && this.#now() >= this.#awayUntil) {
      const batch = this.#waiting.splice(0, MOST_SENT);
      const answer = await this.#post("/report", { reports: batch });
      await answer?.body?.cancel();
      if (!answer) this.#waiting = [...batch.filter((each) => each.outcome === "failure"), ...this.#waiting].slice(-MOST_WAITING); // ids count once
    }
  }

  async #look(): Promise<void> {
    try {
      const answer = await this.#ask(API, { headers: this.#etag ? { "if-none-match": this.#etag } : {}, timeout: PATIENCE });
      if (answer.ok) {
        const { breakers } = (await answer.json()) as { breakers: View[] };
        this.#views = new Map(breakers.map((each) => [each.name, each]));
        this.#etag = answer.headers.get("etag") ?? "";
      } else {
        await answer.body?.cancel();
        if (answer.status !== 304) return this.#away();
      }
      this.at = this.#now();
      this.freshUntil = this.at + FRESH;
    } catch {
      this.#away();
    }
  }

  async #post(path: string, body: object): Promise<Response | null> {
    const headers = { "content-type": "application/json", "mendgate-isolate": (this.#isolate ??= crypto.randomUUID()) };
    try {
      const answer = await this.#ask(API + path, { method: "POST", headers, body: JSON.stringify(body), timeout: PATIENCE });
      const { ok, status } = answer;
      if (ok || status === 422 || (path !== "/report" && status < 500 && status !== 401 && status !== 429)) return answer; // of this name only
      await answer.body?.cancel();
    } catch {
      // as if it had said no
    }
    this.#away();
    return null;
  }

  /** Nobody waits for a gateway that did not answer a moment ago. */
  #away(): void {
    this.#awayUntil = this.#now() + 1_000 + 4_000 * Math.random();
    this.freshUntil = this.#awayUntil;
  }
}
