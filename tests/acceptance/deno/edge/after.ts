// The same function, moved over: the AI's address is the gateway's, and the client keeps the promises.
import { createClient } from "@supabase/supabase-js";
import { circuitBreakerRegistry, createResilientDb, createSchemaVersionManager } from "../../../../clients/typescript/src/mod.ts";

const supabase = createClient(Deno.env.get("SUPABASE_URL")!, Deno.env.get("SUPABASE_SERVICE_ROLE_KEY")!, {
  auth: { persistSession: false, autoRefreshToken: false },
});
const db = createResilientDb(supabase);
const ai = circuitBreakerRegistry.getBreaker("ai-tickets", { failureThreshold: 3, timeout: 500 });
const schema = createSchemaVersionManager(supabase);
const heard: string[] = [];
schema.onSchemaChange((changes) => void heard.push(...changes.map((change) => change.sentence)));
await schema.initialize();

async function summarize(text: string): Promise<string> {
  const answer = await fetch(`${Deno.env.get("AI_URL")}/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${Deno.env.get("AI_KEY")}`, "content-type": "application/json" },
    body: JSON.stringify({ model: "small", messages: [{ role: "user", content: `Summarize: ${text}` }] }),
  });
  if (!answer.ok) throw new Error(`the AI answered ${answer.status}`);
  return (await answer.json()).choices[0].message.content;
}

async function store(request: Request): Promise<Response> {
  const { ref, text, email } = await request.json();
  const idempotencyKey = request.headers.get("idempotency-key") ?? true;
  const { error, healing } = await db.insert("tickets", { ref, text, email }, { idempotencyKey });
  if (error) return Response.json(error, { status: error.kind === "unknown" || error.kind === "busy" ? 503 : 422 });
  const summary = await ai.execute(() => summarize(text), () => text.split(". ")[0]);
  await db.update("tickets", { summary }, { ref });
  return Response.json({ ref, summary, healed: healing.healed }, { status: 201 });
}

Deno.serve({ port: Number(Deno.env.get("PORT")), hostname: "127.0.0.1" }, (request) =>
  request.method === "POST"
    ? store(request).catch((error) => Response.json({ error: String(error) }, { status: 500 }))
    : Response.json({ alive: true, heard, breaker: ai.state }));
