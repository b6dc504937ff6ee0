import { base } from "../../api/client";

/** Sends a track event in the way of the browser agent, from this page. */
export async function sendEvent(agentKey: string, visitorId: string): Promise<void> {
  const browserTime = Date.now();
  const item = { type: "track", visitorId, accountId: "", browserTime, name: "Hello, Fanfare", properties: { from: "the console" } };
  const answer = await fetch(new URL("data/events", base), {
    method: "POST",
    headers: { "Content-Type": "application/json", "x-fanfare-agent-key": agentKey },
    body: JSON.stringify({ events: [item] }),
  });
  const said = (await answer.json()) as { detail?: string; rejected?: { reason: string }[] };
  if (!answer.ok) throw new Error(said.detail ?? `The server answered with status ${answer.status}.`);
  const reason = said.rejected?.[0]?.reason;
  if (reason !== undefined) throw new Error(reason);
}
