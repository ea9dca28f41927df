import { type Ask, askOf, type Connection, fromEnvironment, type SupabaseLike } from "./connection.ts";
import { MendgateError } from "./errors.ts";
import { sleep } from "./platform.ts";

/** One change of the database's schema. */
export interface SchemaChange {
  epoch: number;
  /** e.g. `column_renamed`. */
  kind: string;
  severity: string;
  schema: string;
  relation: string;
  object: string;
  /** What happened, for a person. */
  sentence: string;
  breaks_old_writers: boolean;
  breaks_old_readers: boolean;
}

/** Where the changes came from. `reset`: the numbering began anew (a database was restored); read everything again. */
export interface SchemaEvent {
  epoch: number;
  summary: string;
  reset: boolean;
}

/** Hears of changes. Versions are told once each, in order, none left out. */
export type SchemaListener = (changes: SchemaChange[], event: SchemaEvent) => void | Promise<void>;

/** Options of {@link createSchemaVersionManager}. */
export interface SchemaOptions {
  /** The last version that is known, e.g. kept from an earlier isolate; what came after it is told. */
  since?: number;
  /** Milliseconds between two looks where no stream can be had; 5,000 unless said otherwise. */
  pollEvery?: number;
  /** `false`: never stream, only look every `pollEvery`. */
  stream?: boolean;
  /** Hears of what goes wrong on the way; it goes on by itself. */
  onError?: (error: unknown) => void;
}

const API = "/api/v1/schema";
const SILENCE = 45_000;

/**
 * Follows the schema's versions. Make one with {@link createSchemaVersionManager}.
 *
 * @example
 * ```ts
 * const manager = new SchemaVersionManager({ url: Deno.env.get("SUPABASE_URL")!, key: Deno.env.get("SUPABASE_SERVICE_ROLE_KEY")! });
 * const changes = await manager.check(); // one look, for functions that live a moment
 * console.log(manager.version, changes.length);
 * ```
 */
export class SchemaVersionManager {
  /** The last version that every listener was told of; -1 before `initialize` or `check`. */
  version = -1;
  readonly #ask: Ask;
  readonly #options: SchemaOptions;
  readonly #listeners = new Set<SchemaListener>();
  #ending: AbortController | null = null;
  #pauseMs = 1_000;

  constructor(source: Connection | SupabaseLike, options: SchemaOptions = {}) {
    this.#ask = askOf(source);
    this.#options = options;
    this.version = options.since ?? -1;
  }

  /** Learns the version of now and begins to follow. Resolves with it as soon as changes can no longer be missed. */
  async initialize(): Promise<number> {
    if (this.version < 0) this.version = await this.#newest();
    if (!this.#ending) {
      this.#ending = new AbortController();
      this.#follow(this.#ending.signal).catch((error) => this.#options.onError?.(error));
    }
    return this.version;
  }

  /** Adds a listener; gives a function that takes it away again. */
  onSchemaChange(listener: SchemaListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Looks once, and tells what came since the last time. */
  async check(): Promise<SchemaChange[]> {
    if (this.version < 0) {
      this.version = await this.#newest();
      return [];
    }
    const changes = (await this.#json(`${API}/changes?since=${this.version}`)) as SchemaChange[];
    for (const epoch of new Set(changes.map((each) => each.epoch))) {
      const those = changes.filter((each) => each.epoch === epoch);
      await this.#tell(those, { epoch, summary: those.map((each) => each.sentence).join(" "), reset: false });
    }
    return changes;
  }

  /** Stops following. */
  close(): void {
    this.#ending?.abort();
    this.#ending = null;
  }

  async #follow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const streamed = this.#options.stream !== false && (await this.#stream(signal).catch((error) => this.#trouble(error, signal)));
      if (signal.aborted) return;
      if (!streamed) await this.check().catch((error) => this.#trouble(error, signal)); // no stream: look instead
      await sleep((streamed ? this.#pauseMs : (this.#options.pollEvery ?? 5_000)) * (0.75 + Math.random() / 2), signal);
    }
  }

  #trouble(error: unknown, signal: AbortSignal): false {
    if (!signal.aborted) this.#options.onError?.(error);
    return false;
  }

  /** Reads the stream until it ends; whether there was one. */
  async #stream(signal: AbortSignal): Promise<boolean> {
    const silence = new AbortController();
    let timer = setTimeout(() => silence.abort(), SILENCE);
    const headers = { accept: "text/event-stream", "last-event-id": String(this.version) };
    try {
      const answer = await this.#ask(`${API}/events`, { headers, signal: AbortSignal.any([signal, silence.signal]) });
      if (!answer.ok || !answer.body) throw await refusal(answer);
      for await (const event of events(answer.body)) {
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), SILENCE);
        await this.#heard(event);
      }
      return true;
    } finally {
      clearTimeout(timer);
    }
  }

  async #heard(event: { name: string; data: string; retry: number | null }): Promise<void> {
    if (event.retry !== null) this.#pauseMs = event.retry;
    if (event.name === "reset") {
      const { latest = 0, epoch = latest } = JSON.parse(event.data);
      await this.#tell([], { epoch, summary: "The schema's history began anew.", reset: true });
    } else if (event.name === "schema") {
      const { epoch, summary, changes } = JSON.parse(event.data);
      if (epoch > this.version) await this.#tell(changes, { epoch, summary, reset: false });
    }
  }

  /** A listener's own fault neither stops the others nor the following. */
  async #tell(changes: SchemaChange[], event: SchemaEvent): Promise<void> {
    if (event.epoch <= this.version && !event.reset) return; // told already: a look and the stream may meet
    for (const listener of this.#listeners) {
      try {
        await listener(changes, event);
      } catch (error) {
        this.#options.onError?.(error);
      }
    }
    this.version = event.epoch;
  }

  async #newest(): Promise<number> {
    const [newest] = (await this.#json(`${API}/versions?limit=1`)) as { epoch: number }[];
    return newest?.epoch ?? 0;
  }

  async #json(path: string): Promise<unknown> {
    const answer = await this.#ask(path, { timeout: 10_000 });
    if (!answer.ok) throw await refusal(answer);
    return await answer.json();
  }
}

/**
 * Follows the schema through the gateway: server-sent events that resume where they were, or a look every few seconds where no stream
 * can be had.
 *
 * @example
 * ```ts
 * const manager = createSchemaVersionManager({ url: Deno.env.get("SUPABASE_URL")!, key: Deno.env.get("SUPABASE_SERVICE_ROLE_KEY")! });
 * manager.onSchemaChange((changes) => changes.forEach((change) => console.log(change.sentence)));
 * console.log("version", await manager.initialize());
 * manager.close();
 * ```
 */
export function createSchemaVersionManager(source?: Connection | SupabaseLike, options: SchemaOptions = {}): SchemaVersionManager {
  const found = source ?? fromEnvironment();
  if (found) return new SchemaVersionManager(found, options);
  throw new MendgateError({ message: "No gateway is known", code: "no_connection", hint: "Set MENDGATE_URL and MENDGATE_KEY, or pass { url, key }." });
}

/** Server-sent events off a body. A comment is an event without a name, so that a heartbeat counts as a sign of life. */
async function* events(body: ReadableStream<Uint8Array>): AsyncGenerator<{ name: string; data: string; retry: number | null }> {
  const reader = body.pipeThrough(new TextDecoderStream() as unknown as TransformStream<Uint8Array, string>).getReader();
  let text = "";
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      text += part.value;
      const blocks = text.split("\n\n");
      text = blocks.pop()!;
      for (const block of blocks) yield event(block.split("\n"));
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

function event(lines: string[]): { name: string; data: string; retry: number | null } {
  const of = (field: string) => lines.filter((line) => line.startsWith(`${field}:`)).map((line) => line.slice(field.length + 1).trimStart());
  const retry = Number(of("retry")[0]);
  return { name: of("event")[0] ?? "", data: of("data").join("\n"), retry: retry > 0 ? retry : null };
}

async function refusal(answer: Response): Promise<MendgateError> {
  const body = await answer.json().catch(() => ({}));
  return new MendgateError({ message: `HTTP ${answer.status}`, ...body, status: answer.status });
}
