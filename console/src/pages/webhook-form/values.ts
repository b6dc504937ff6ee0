import type { Schemas } from "../../api/client";
import type { Webhook } from "../../api/webhooks";
import { CATEGORIES } from "../../api/words";

/** What stands in the form. An empty number field is an empty text. */
export interface Values {
  type: "url" | "segment";
  name: string;
  url: string;
  /** Empty: none, or what is set stays. */
  secret: string;
  /** The secret that is set is taken away. */
  dropSecret: boolean;
  all: boolean;
  categories: string[];
  timeout: number | string;
  concurrency: number | string;
  standardWebhooks: boolean;
}

export const NEW: Values = {
  type: "url",
  name: "",
  url: "",
  secret: "",
  dropSecret: false,
  all: true,
  categories: [],
  timeout: 300,
  concurrency: 32,
  standardWebhooks: true,
};

/** A stored webhook in the form. */
export function valuesOf(webhook: Webhook): Values {
  const all = typeof webhook.categories === "string";
  return {
    ...NEW,
    type: webhook.type === "segment" ? "segment" : "url",
    name: webhook.name,
    url: webhook.url ?? webhook.endpoint ?? "",
    all,
    categories: all ? [] : [...(webhook.categories as string[])],
    timeout: webhook.timeout_s,
    concurrency: webhook.concurrency,
    standardWebhooks: webhook.standard_webhooks,
  };
}

/** The form as the API takes it. */
export function inputOf(values: Values): Schemas["WebhookInput"] {
  const chosen = Object.keys(CATEGORIES).filter((category) => values.categories.includes(category));
  const input: Schemas["WebhookInput"] = {
    type: values.type,
    name: values.name,
    url: values.url,
    categories: values.all ? "all" : (chosen as Schemas["WebhookInput"]["categories"] & string[]),
    timeout_s: Number(values.timeout),
    concurrency: Number(values.concurrency),
    standard_webhooks: values.standardWebhooks,
  };
  if (values.secret !== "") input.secret = values.secret;
  else if (values.dropSecret) input.secret = null;
  return input;
}

/** A secret that nobody can guess, as text that can be pasted anywhere. */
export function newSecret(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(24));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_");
}
