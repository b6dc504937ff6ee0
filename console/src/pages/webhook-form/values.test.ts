import { expect, test } from "vitest";
import type { Webhook } from "../../api/webhooks";
import { inputOf, NEW, newSecret, type Values, valuesOf } from "./values";

const input = (values: Partial<Values>, isNew = true) => inputOf({ ...NEW, ...values }, isNew);

test("categories are sent in their own order, or all of them", () => {
  expect(input({ all: false, categories: ["nps", "guides"] }).categories).toEqual(["guides", "nps"]);
  expect(input({}).categories).toBe("all");
});

test("an empty secret keeps what is set, and only a wish takes it away", () => {
  expect(input({})).not.toHaveProperty("secret");
  expect(input({ dropSecret: true }).secret).toBeNull();
  expect(input({ dropSecret: true, secret: " x " }).secret).toBe(" x ");
});

test("the overlap is asked for with another secret only", () => {
  expect(input({ overlap: "24" }, false)).not.toHaveProperty("secret_overlap_s");
  expect(input({ overlap: "24", secret: "b" }, false).secret_overlap_s).toBe(86_400);
  expect(input({ overlap: "24", secret: "b" }, true)).not.toHaveProperty("secret_overlap_s");
});

test("a Segment webhook is asked for with nothing that it cannot have", () => {
  const asked = input({ type: "segment", writeKey: "k", url: "https://example.com", secret: "s", auth: "bearer", format: "slack" });
  for (const field of ["url", "secret", "auth", "format", "client_certificate", "standard_webhooks"]) expect(asked).not.toHaveProperty(field);
  expect(asked).toMatchObject({ type: "segment", write_key: "k", endpoint: "https://api.segment.io" });
  expect(input({ type: "segment" }, false)).not.toHaveProperty("write_key");
});

test("what is saved without a change stays as it was, secrets included", () => {
  const webhook = {
    type: "url",
    name: "CRM",
    url: "https://example.com/",
    categories: ["nps"],
    audit: true,
    filter: 'event == "npsSubmitted"',
    format: { template: "{{ title }}", content_type: "text/plain" },
    headers: { "X-Api-Key": true },
    auth: { type: "oauth2", token_url: "https://id.example.com/", client_id: "c", client_secret: true, scope: "", audience: "a", in_body: true },
    client_certificate: { certificate: "pem", private_key: true },
    timeout_s: 10,
    concurrency: 4,
    rate_limit_per_s: 20,
    ordered: true,
    standard_webhooks: false,
  };
  expect(inputOf(valuesOf(webhook as unknown as Webhook), false)).toEqual(webhook);
  const { timeout_s, concurrency, standard_webhooks } = webhook;
  const bare = { name: "n", type: "url", url: "u", categories: "all", audit: false, filter: null, format: null, headers: {}, auth: null };
  const rest = { client_certificate: null, rate_limit_per_s: null, ordered: false, timeout_s, concurrency, standard_webhooks };
  expect(inputOf(valuesOf({ ...bare, ...rest } as unknown as Webhook), false)).toEqual({ ...bare, ...rest });
});

test("another kind of authentication needs a secret of its own", () => {
  expect(input({ auth: "bearer", authSet: "bearer" }).auth).toEqual({ type: "bearer", token: true });
  expect(input({ auth: "basic", authSet: "bearer", username: "u" }).auth).toEqual({ type: "basic", username: "u", password: "" });
});

test("a header whose name changes does not keep the value of the old one", () => {
  const headers = [
    { name: "A", value: "", isSet: true },
    { name: "B", value: "b", isSet: true },
    { name: "", value: "", isSet: false },
  ];
  expect(input({ headers }).headers).toEqual({ A: true, B: "b" });
});

test("generated secrets differ and can be pasted", () => {
  const secrets = new Set(Array.from({ length: 50 }, newSecret));
  expect(secrets.size).toBe(50);
  for (const secret of secrets) expect(secret).toMatch(/^[A-Za-z0-9_-]{32}$/);
});
