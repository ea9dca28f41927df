// Put here by `manage.py scan_functions --patch`; it is yours now and is never written again.
import { circuitBreakerRegistry } from "@mendgate/client";

type Input = Parameters<typeof fetch>[0];
type Init = Parameters<typeof fetch>[1];

/** `breaker`: its name on the dashboard, shared by all functions that use it. `fallback` answers where the service does not. */
export interface AiCall {
  breaker: string;
  fallback?: (error: Error) => Response | Promise<Response>;
}

const SETTINGS = { failureThreshold: 5, timeout: 60_000, callTimeout: 150_000 };
const SPOKEN = /\/(?:chat\/completions|embeddings|models)$/;

/**
 * `fetch` for AI services, behind a circuit breaker. With the secrets MENDGATE_URL and MENDGATE_AI_KEY set, what is in OpenAI's dialect
 * goes through Mendgate, which then uses its own providers and keys.
 */
export function aiFetch(input: Input, init: Init, call: AiCall): Promise<Response> {
  const [target, options] = routed(input, init);
  return circuitBreakerRegistry.getBreaker(call.breaker, SETTINGS).execute(() => fetch(target, options), call.fallback);
}

/** Answers as an AI service that is out of order does: the caller's own handling of errors goes on from there. Put a better answer here. */
export function aiUnavailable(error: Error): Response {
  const told = (error as { status?: unknown }).status;
  const status = typeof told === "number" && told >= 400 ? told : 503;
  const body = { error: { message: error.message, type: "service_unavailable", code: "ai_unavailable" } };
  return new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json" } });
}

/** The options of an OpenAI client whose calls go through `aiFetch`. */
export function aiOptions<T extends object>(options: T, breaker: string): T {
  return { ...options, fetch: (input: Input, init: Init) => aiFetch(input, init, { breaker }) } as T;
}

function routed(input: Input, init: Init): [Input, Init] {
  const base = Deno.env.get("MENDGATE_URL");
  const key = Deno.env.get("MENDGATE_AI_KEY");
  if (!base || !key || input instanceof Request) return [input, init];
  const { pathname, search } = new URL(input);
  const spoken = SPOKEN.exec(pathname);
  if (!spoken) return [input, init];
  const headers = new Headers(init?.headers);
  for (const name of ["x-api-key", "api-key"]) headers.delete(name); // the provider's own key stays here
  headers.set("authorization", `Bearer ${key}`);
  return [base.replace(/\/+$/, "") + "/v1" + spoken[0] + search, { ...init, headers }];
}
