// Node.js 18 or later
import { createHmac, timingSafeEqual } from "node:crypto";

const TOLERANCE_S = 300;

/** `body` is a Buffer. A header that is missing is undefined, and refused. */
export function verifyPendo(secret, body, signature) {
  return equal(createHmac("sha256", secret).update(body).digest("hex"), signature);
}

/** `signatures` is the webhook-signature header: one of them must match. */
export function verifyStandard(signingKey, body, id, timestamp, signatures) {
  const age = Date.now() / 1000 - Number(timestamp);
  if (!(Math.abs(age) <= TOLERANCE_S)) return false; // so written, it refuses NaN too
  const key = Buffer.from(signingKey.replace(/^whsec_/, ""), "base64");
  const mac = createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest("base64");
  return (signatures ?? "").split(" ").some((given) => equal(`v1,${mac}`, given));
}

// timingSafeEqual throws when the lengths differ; the length is no secret.
function equal(expected, given) {
  const [a, b] = [Buffer.from(expected), Buffer.from(given ?? "")];
  return a.length === b.length && timingSafeEqual(a, b);
}
