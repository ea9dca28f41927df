// What differs between Deno, Node, Bun and the edge runtimes.

// deno-lint-ignore no-explicit-any
const world = globalThis as any;

/** One setting of the environment; undefined where it is not set or may not be read. */
export function setting(name: string): string | undefined {
  try {
    return world.Deno?.env?.get(name) ?? world.process?.env?.[name];
  } catch {
    return undefined; // no permission
  }
}

/** Lets the platform finish something after the response was sent, where it can. Never rejects. */
export function later(work: Promise<unknown>): void {
  const quiet = work.catch(() => undefined);
  try {
    world.EdgeRuntime?.waitUntil?.(quiet);
  } catch {
    // not inside a request
  }
}

/** Waits; wakes early, without an error, when the signal aborts. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((wake) => {
    if (signal?.aborted) return wake();
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      wake();
    }
    signal?.addEventListener("abort", done);
  });
}

/** A time limit, together with the caller's own signal where there is one. */
export function limit(ms: number, signal?: AbortSignal | null): AbortSignal {
  const own = AbortSignal.timeout(ms);
  return signal ? AbortSignal.any([own, signal]) : own;
}
