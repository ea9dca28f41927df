// An edge function as they are written: stores a ticket, has it summarized by an AI.
import { createClient } from "@supabase/supabase-js";

const supabase = createClient(Deno.env.get("SUPABASE_URL")!, Deno.env.get("SUPABASE_SERVICE_ROLE_KEY")!, {
  auth: { persistSession: false, autoRefreshToken: false },
  global: { headers: { Prefer: "healing=off" } }, // as if there were no gateway
});

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
  const { error } = await supabase.from("tickets").insert({ ref, text, email });
  if (error) return Response.json({ error: error.message }, { status: 500 });
  const summary = await summarize(text);
  await supabase.from("tickets").update({ summary }).eq("ref", ref);
  return Response.json({ ref, summary }, { status: 201 });
}

Deno.serve({ port: Number(Deno.env.get("PORT")), hostname: "127.0.0.1" }, (request) =>
  request.method === "POST"
    ? store(request).catch((error) => Response.json({ error: String(error) }, { status: 500 }))
    : Response.json({ alive: true }));
