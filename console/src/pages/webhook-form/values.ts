import type { Schemas } from "../../api/client";
import type { Webhook } from "../../api/webhooks";
import { CATEGORIES } from "../../api/words";

type Input = Schemas["WebhookInput"];

/** A header's value; where one is set that stays, its text is empty. */
export interface HeaderValue {
  name: string;
  value: string;
  isSet: boolean;
}

export type AuthKind = "none" | "bearer" | "basic" | "oauth2";
export type FormatKind = "plain" | "slack" | "teams" | "discord" | "template";

/** What stands in the form. An empty number field is an empty text, and an empty secret leaves the one that is set. */
export interface Values {
  type: "url" | "segment";
  name: string;
  url: string;
  /** Where a Segment webhook's messages go. */
  endpoint: string;
  writeKey: string;
  /** Empty: none, or what is set stays. */
  secret: string;
  /** The secret that is set is taken away. */
  dropSecret: boolean;
  /** How long the secret before a new one can be checked with too, in hours. */
  overlap: string;
  all: boolean;
  categories: string[];
  audit: boolean;
  filter: string;
  format: FormatKind;
  template: string;
  contentType: string;
  headers: HeaderValue[];
  auth: AuthKind;
  /** The token, the password or the client's secret. */
  authSecret: string;
  /** The kind of authentication whose secret is set already. */
  authSet: AuthKind;
  username: string;
  tokenUrl: string;
  clientId: string;
  scope: string;
  audience: string;
  inBody: boolean;
  certificate: string;
  privateKey: string;
  privateKeySet: boolean;
  timeout: number | string;
  concurrency: number | string;
  rate: number | string;
  ordered: boolean;
  standardWebhooks: boolean;
}

export const SEGMENT_REGIONS = [
  { value: "https://api.segment.io", label: "Oregon (api.segment.io)" },
  { value: "https://events.eu1.segmentapis.com", label: "Dublin, EU (events.eu1.segmentapis.com)" },
];

export const NEW: Values = {
  type: "url",
  name: "",
  url: "",
  endpoint: "https://api.segment.io",
  writeKey: "",
  secret: "",
  dropSecret: false,
  overlap: "0",
  all: true,
  categories: [],
  audit: false,
  filter: "",
  format: "plain",
  template: "",
  contentType: "application/json",
  headers: [],
  auth: "none",
  authSecret: "",
  authSet: "none",
  username: "",
  tokenUrl: "",
  clientId: "",
  scope: "",
  audience: "",
  inBody: false,
  certificate: "",
  privateKey: "",
  privateKeySet: false,
  timeout: 300,
  concurrency: 32,
  rate: "",
  ordered: false,
  standardWebhooks: true,
};

/** A stored webhook in the form. */
export function valuesOf(webhook: Webhook): Values {
  const all = typeof webhook.categories === "string";
  return {
    ...NEW,
    type: webhook.type === "segment" ? "segment" : "url",
    name: webhook.name,
    url: webhook.url ?? "",
    endpoint: webhook.endpoint ?? NEW.endpoint,
    all,
    categories: all ? [] : [...(webhook.categories as string[])],
    audit: webhook.audit,
    filter: webhook.filter ?? "",
    ...formatValues(webhook.format),
    headers: Object.keys(webhook.headers).map((name) => ({ name, value: "", isSet: true })),
    ...authValues(webhook.auth),
    certificate: webhook.client_certificate?.certificate ?? "",
    privateKeySet: Boolean(webhook.client_certificate),
    timeout: webhook.timeout_s,
    concurrency: webhook.concurrency,
    rate: webhook.rate_limit_per_s ?? "",
    ordered: webhook.ordered,
    standardWebhooks: webhook.standard_webhooks,
  };
}

function formatValues(format: Webhook["format"]): Partial<Values> {
  if (!format) return {};
  if ("preset" in format) return { format: format.preset };
  return { format: "template", template: format.template, contentType: format.content_type ?? NEW.contentType };
}

function authValues(auth: Webhook["auth"]): Partial<Values> {
  if (!auth) return {};
  const kind = { auth: auth.type, authSet: auth.type };
  if (auth.type === "bearer") return kind;
  if (auth.type === "basic") return { ...kind, username: auth.username ?? "" };
  const { token_url: tokenUrl, client_id: clientId, scope, audience, in_body: inBody } = auth;
  return { ...kind, tokenUrl, clientId, scope: scope ?? "", audience: audience ?? "", inBody: inBody ?? false };
}

/** The form as the API takes it. `isNew`: there is nothing yet that could be kept. */
export function inputOf(values: Values, isNew: boolean): Input {
  const chosen = Object.keys(CATEGORIES).filter((category) => values.categories.includes(category));
  const common: Input = {
    type: values.type,
    name: values.name,
    categories: values.all ? "all" : (chosen as Input["categories"] & string[]),
    audit: values.audit,
    filter: values.filter.trim() === "" ? null : values.filter,
    headers: headersOf(values),
    timeout_s: Number(values.timeout),
    concurrency: Number(values.concurrency),
    rate_limit_per_s: values.rate === "" ? null : Number(values.rate),
    ordered: values.ordered,
  };
  if (values.type === "segment") {
    return { ...common, endpoint: values.endpoint, ...(values.writeKey === "" ? {} : { write_key: values.writeKey }) };
  }
  return {
    ...common,
    url: values.url,
    ...secretOf(values, isNew),
    standard_webhooks: values.standardWebhooks,
    format: formatOf(values),
    auth: authOf(values),
    client_certificate: values.certificate.trim() === "" ? null : certificateOf(values),
  };
}

function secretOf(values: Values, isNew: boolean): Input {
  if (values.secret === "") return values.dropSecret ? { secret: null } : {};
  const overlap = isNew || values.overlap === "0" ? {} : { secret_overlap_s: Number(values.overlap) * 3600 };
  return { secret: values.secret, ...overlap };
}

/** The format as the API takes it; null sends bodies as they are. */
export function formatOf({ format, template, contentType }: Pick<Values, "format" | "template" | "contentType">): Schemas["Format"] | null {
  if (format === "plain") return null;
  return format === "template" ? { template, content_type: contentType } : { preset: format };
}

function headersOf({ headers }: Values): NonNullable<Input["headers"]> {
  const named = headers.filter(({ name, value, isSet }) => name !== "" || value !== "" || isSet);
  return Object.fromEntries(named.map(({ name, value, isSet }) => [name, value === "" && isSet ? true : value]));
}

function authOf(values: Values): Schemas["Auth"] | null {
  const secret = values.authSecret === "" && values.authSet === values.auth ? true : values.authSecret;
  switch (values.auth) {
    case "none":
      return null;
    case "bearer":
      return { type: "bearer", token: secret };
    case "basic":
      return { type: "basic", username: values.username, password: secret };
    case "oauth2":
      return {
        type: "oauth2",
        token_url: values.tokenUrl,
        client_id: values.clientId,
        client_secret: secret,
        scope: values.scope,
        audience: values.audience,
        in_body: values.inBody,
      };
  }
}

function certificateOf({ certificate, privateKey, privateKeySet }: Values): Schemas["ClientCertificate"] {
  return { certificate, private_key: privateKey === "" && privateKeySet ? true : privateKey };
}

/** A secret that nobody can guess, as text that can be pasted anywhere. */
export function newSecret(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(24));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_");
}
