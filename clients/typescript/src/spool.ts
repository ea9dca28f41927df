// Writes that could not be sent are kept on this machine and sent later, under their own keys, by the same owner.
import type { Operation } from "./operations.ts";

/**
 * Where a spool keeps its writes: anything that can hold strings by key. `localStorage` is one (Deno, browsers, some edges).
 *
 * @example
 * ```ts
 * const kept = new Map<string, string>();
 * const storage: SpoolStorage = {
 *   get: (key) => kept.get(key) ?? null,
 *   set: (key, value) => void kept.set(key, value),
 *   delete: (key) => void kept.delete(key),
 *   keys: () => [...kept.keys()],
 * };
 * ```
 */
export interface SpoolStorage {
  get(key: string): string | null | undefined | Promise<string | null | undefined>;
  set(key: string, value: string): void | Promise<void>;
  delete(key: string): void | Promise<void>;
  keys(): string[] | Promise<string[]>;
}

/** A write that waits on this machine. `why` says why it was set aside for a person. */
export interface Spooled {
  key: string;
  operation: Operation;
  /** As it was sent at first, so that a repeat is the same request to the gateway. */
  prefer: readonly string[];
  returning: string | null;
  at: number;
  why?: string;
}

/** How to spool. */
export interface SpoolOptions {
  /** Where; the payloads lie there in the clear. */
  storage: SpoolStorage;
  /** Whose writes these are, e.g. a user's id: only a client of the same owner sends them. */
  owner: string;
  /** At most so many; 1,000 unless said otherwise. */
  most?: number;
}

/**
 * `localStorage` as a spool's storage; null where the runtime has none.
 *
 * @example
 * ```ts
 * const storage = localSpool();
 * const options = storage ? { spool: { storage, owner: "ann" } } : {};
 * ```
 */
export function localSpool(): SpoolStorage | null {
  let found: Storage | undefined;
  try {
    found = globalThis.localStorage;
  } catch {
    // not allowed here
  }
  if (!found) return null;
  const store = found;
  return {
    get: (key) => store.getItem(key),
    set: (key, value) => store.setItem(key, value),
    delete: (key) => store.removeItem(key),
    keys: () => Array.from({ length: store.length }, (_, n) => store.key(n)!),
  };
}

const KEPT_FOR = 47 * 3_600_000; // the gateway remembers a key for 48 hours; after that sending again might write twice
let order = 0;

/** One owner's spool. */
export class Spool {
  readonly #options: SpoolOptions;
  readonly #prefix: string;
  #flushing: Promise<number> | null = null;

  constructor(options: SpoolOptions) {
    this.#options = options;
    this.#prefix = `mendgate:${encodeURIComponent(options.owner)}:`;
  }

  /** Keeps a write; false where the spool, or its storage, is full. */
  async keep(write: Omit<Spooled, "at" | "why">): Promise<boolean> {
    if ((await this.#names("due:")).length >= (this.#options.most ?? 1_000)) return false;
    const at = Date.now();
    const name = `due:${String(at).padStart(15, "0")}:${String(order++).padStart(9, "0")}:${write.key}`;
    try {
      await this.#options.storage.set(this.#prefix + name, JSON.stringify({ ...write, at }));
    } catch {
      return false; // localStorage holds five megabytes
    }
    return true;
  }

  /** Writes that wait, oldest first; with `aside` those that only a person can decide on. */
  async list(aside = false): Promise<Spooled[]> {
    const names = await this.#names(aside ? "aside:" : "due:");
    const texts = await Promise.all(names.map((name) => this.#options.storage.get(name)));
    return texts.filter((text) => text != null).map((text) => JSON.parse(text!) as Spooled);
  }

  /** Whether anything waits to be sent. */
  async isEmpty(): Promise<boolean> {
    return (await this.#names("due:")).length === 0;
  }

  /**
   * Sends what waits, in order, one at a time; gives the number that landed. `deliver` tells what came of each: "landed", "wait" (no
   * answer: stop, the rest keeps its order), or why it was refused (set aside, never lost).
   */
  flush(deliver: (write: Spooled) => Promise<string>): Promise<number> {
    return (this.#flushing ??= this.#run(deliver).finally(() => (this.#flushing = null)));
  }

  async #run(deliver: (write: Spooled) => Promise<string>): Promise<number> {
    let landed = 0;
    for (const name of await this.#names("due:")) {
      const text = await this.#options.storage.get(name);
      if (text == null) continue; // another isolate sent it
      const write = JSON.parse(text) as Spooled;
      const old = Date.now() - write.at > KEPT_FOR;
      const outcome = old ? "It waited for two days: whether it was written before cannot be told any more." : await deliver(write);
      if (outcome === "wait") break;
      if (outcome === "landed") landed++;
      else await this.#options.storage.set(name.replace(":due:", ":aside:"), JSON.stringify({ ...write, why: outcome }));
      await this.#options.storage.delete(name);
    }
    return landed;
  }

  async #names(what: string): Promise<string[]> {
    return (await this.#options.storage.keys()).filter((name) => name.startsWith(this.#prefix + what)).sort();
  }
}
