// Feeds docs/snippets/verify.mjs: each line of standard input is secret, signing key, body, X-Pendo-Signature, webhook-id,
// webhook-timestamp and webhook-signature, each as ":" and base64, or "-" for a header that is missing. Answers with a line
// for each: what the two functions said, "ok" or "refused".
import { createInterface } from "node:readline";
import { verifyPendo, verifyStandard } from "./verify.mjs";

const word = (genuine) => (genuine === true ? "ok" : "refused");
for await (const line of createInterface({ input: process.stdin })) {
  const fields = line.split(" ").map((field) => (field === "-" ? undefined : Buffer.from(field.slice(1), "base64")));
  const [secret, key, , pendo, id, timestamp, signatures] = fields.map((field) => field?.toString());
  const body = fields[2];
  console.log(word(verifyPendo(secret, body, pendo)), word(verifyStandard(key, body, id, timestamp, signatures)));
}
