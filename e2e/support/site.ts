import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Fanfare } from "./fanfare";

/** Somebody's application, on an origin of its own, with the agent in it and a policy that lets in nothing else. */
export class Site {
  /** What stands in each page's body, and what its own script does before the agent is started. */
  body = "<h1>An application</h1>";
  style = "";
  script = "";
  #server: Server;
  #fanfare: Fanfare;

  private constructor(fanfare: Fanfare) {
    this.#fanfare = fanfare;
    this.#server = createServer((request, response) => {
      const path = (request.url ?? "/").split("?")[0] ?? "/";
      const files: Record<string, [string, string]> = { "/app.js": ["text/javascript", this.script], "/app.css": ["text/css", this.style] };
      const [type, text] = files[path] ?? ["text/html; charset=utf-8", this.#page()];
      response.writeHead(path === "/favicon.ico" ? 204 : 200, { "Content-Type": type, "Content-Security-Policy": this.#policy() });
      response.end(path === "/favicon.ico" ? undefined : text);
    });
  }

  static async start(fanfare: Fanfare): Promise<Site> {
    const site = new Site(fanfare);
    await new Promise<void>((resolve) => site.#server.listen(0, "127.0.0.1", resolve));
    const { data } = await fanfare.api<{ data: { id: number }[] }>("GET", "/apps");
    await fanfare.api("PATCH", `/apps/${data[0]?.id ?? ""}`, { origins: [site.origin] });
    return site;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  #policy(): string {
    const { url } = this.#fanfare;
    return `default-src 'none'; script-src 'self' ${url}; connect-src ${url}; style-src 'self'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types fanfare`;
  }

  #page(): string {
    return `<!doctype html><html lang="en"><head><title>An application</title><link rel="stylesheet" href="/app.css">
      <script src="${this.#fanfare.url}/agent/fanfare.js" data-key="${this.#fanfare.keys.agent_key}"></script>
      <script src="/app.js" defer></script></head><body>${this.body}</body></html>`;
  }
}
