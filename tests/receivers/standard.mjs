// Feeds the Standard Webhooks library of npm; drive.mjs says what the lines are.
import { createInterface } from "node:readline";
import { Webhook } from "standardwebhooks";

function genuine(key, body, id, timestamp, signatures) {
  const headers = { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signatures };
  try {
    new Webhook(key).verify(body, headers);
    return true;
  } catch {
    return false;
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const fields = line.split(" ").map((field) => (field === "-" ? undefined : Buffer.from(field.slice(1), "base64")));
  const [, key, , , id, timestamp, signatures] = fields.map((field) => field?.toString());
  console.log(genuine(key, fields[2], id, timestamp, signatures) ? "ok" : "refused");
}
