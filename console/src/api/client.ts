import createClient, { type Middleware } from "openapi-fetch";
import type { components, paths } from "./schema";

export type Schemas = components["schemas"];

/** Where the installation is: the page's base, which the server sets. */
export const base = new URL(".", document.baseURI);

/** What the server said when it refused. `field` names the field of the body that is wrong. */
export class Refusal extends Error {
  readonly problem: Schemas["Problem"];

  constructor(problem: Schemas["Problem"]) {
    super(problem.detail);
    this.name = "Refusal";
    this.problem = problem;
  }
}

let csrfToken: string | undefined;

/** Calls that change something carry the session's token. */
export function keepToken(token: string | undefined): void {
  csrfToken = token;
}

const withToken: Middleware = {
  onRequest({ request }) {
    if (csrfToken !== undefined && request.method !== "GET") request.headers.set("X-CSRF-Token", csrfToken);
    return request;
  },
};

/** The management API, typed by its own document. */
export const api = createClient<paths>({ baseUrl: base.href.replace(/\/$/, ""), credentials: "same-origin" });
api.use(withToken);

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** What a call answers; a refusal is thrown. */
export async function ask<T>(call: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await call;
  if (response.ok) return data as T;
  throw new Refusal(problemOf(error, response));
}

function problemOf(error: unknown, response: Response): Schemas["Problem"] {
  if (typeof error === "object" && error !== null && "detail" in error) return error as Schemas["Problem"];
  const detail = `The server answered with status ${response.status}.`;
  return { type: "about:blank", title: response.statusText, status: response.status, code: "unknown", detail };
}

/** An error in words, for people. */
export function inWords(error: unknown): string {
  if (error instanceof Refusal) return sentence(error.problem.detail);
  if (error instanceof TypeError) return "Fanfare cannot be reached. Check your connection, then try again.";
  return error instanceof Error ? error.message : "Something went wrong.";
}

function sentence(text: string): string {
  const capital = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
}

/** What a refusal says of one field of a form; its name is left out, since it stands beside the field. */
export function fieldProblem(error: unknown, field: string): string | undefined {
  if (!(error instanceof Refusal)) return undefined;
  const named = error.problem.field;
  if (named !== field && !named?.startsWith(`${field}.`)) return undefined;
  const { detail } = error.problem;
  return sentence(detail.startsWith(`${field}: `) ? detail.slice(field.length + 2) : detail);
}
