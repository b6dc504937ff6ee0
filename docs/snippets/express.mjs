import express from "express";
import { verifyPendo } from "./verify.mjs";

const secret = process.env.WEBHOOK_SECRET;
if (!secret) throw new Error("WEBHOOK_SECRET is not set"); // an empty key would verify what anybody signs

const app = express();
const inbox = new Map(); // in earnest a table with uniqueId as its key, which somebody else works off

// express.raw for this route, and no express.json before it: the signature is over the bytes as they came.
app.post("/hook", express.raw({ type: () => true, limit: "2mb" }), (request, response) => {
  const body = request.body ?? "";
  if (!verifyPendo(secret, body, request.get("X-Pendo-Signature"))) return response.sendStatus(401);
  const event = JSON.parse(body);
  if (!inbox.has(event.uniqueId)) inbox.set(event.uniqueId, event);
  response.sendStatus(204);
});

app.listen(process.env.PORT ?? 3000);
