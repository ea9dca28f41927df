// The breaker of one isolate, without I/O: time is an argument. It decides alone where the gateway cannot be asked.

/** When a breaker opens, and for how long. */
export interface Rules {
  failureThreshold: number;
  timeout: number;
}

const SLOT = 10_000;
const SLOTS = 6;
const LEASE = 30_000;
const LONGEST = 600_000;

/** Counts the last minute in six slots. Closed until `failureThreshold` failures that are at least half of the calls; then open for
 * `timeout` (doubled with each trip in a row, up to ten minutes, give or take a fifth); then one trial at a time. */
export class Counting {
  readonly #ok: number[] = new Array(SLOTS).fill(0);
  readonly #bad: number[] = new Array(SLOTS).fill(0);
  #slot = 0;
  #slotEnds = 0;
  #trips = 0;
  #until = 0;
  #trialSince = 0;
  /** Nothing stands in a call's way. */
  closed = true;
  readonly #rules: Rules;

  constructor(rules: Rules) {
    this.#rules = rules;
  }

  /** Whether a call may go: "yes", "trial" (the outcome decides), or the milliseconds to wait. */
  ask(now: number): "yes" | "trial" | number {
    if (this.closed) return "yes";
    if (now < this.#until) return this.#until - now;
    if (now - this.#trialSince < LEASE) return LEASE - (now - this.#trialSince);
    this.#trialSince = now;
    return "trial";
  }

  /** So many calls went well. */
  succeeded(now: number, calls: number): void {
    if (now >= this.#slotEnds) this.#turn(now);
    this.#ok[this.#slot % SLOTS]! += calls;
  }

  /** A call failed; opens where that is too many. */
  failed(now: number, trial: boolean, random: number): void {
    if (trial) return this.#open(now, random);
    if (now >= this.#slotEnds) this.#turn(now);
    this.#bad[this.#slot % SLOTS]!++;
    const failures = sum(this.#bad);
    if (this.closed && failures >= this.#rules.failureThreshold && failures >= sum(this.#ok)) this.#open(now, random);
  }

  /** A trial ended without saying anything about the service. */
  gaveBack(): void {
    this.#trialSince = 0;
  }

  #open(now: number, random: number): void {
    this.closed = false;
    this.#trialSince = 0;
    this.#until = now + Math.min(LONGEST, this.#rules.timeout * 2 ** this.#trips++) * (0.8 + 0.4 * random);
  }

  /** A trial went well. */
  close(): void {
    this.closed = true;
    this.#trips = this.#trialSince = 0;
    this.#ok.fill(0);
    this.#bad.fill(0);
  }

  #turn(now: number): void {
    const slot = Math.floor(now / SLOT);
    for (let n = Math.max(this.#slot + 1, slot - SLOTS + 1); n <= slot; n++) this.#ok[n % SLOTS] = this.#bad[n % SLOTS] = 0;
    this.#slot = slot;
    this.#slotEnds = (slot + 1) * SLOT;
  }
}

function sum(counts: number[]): number {
  let total = 0;
  for (const count of counts) total += count;
  return total;
}
