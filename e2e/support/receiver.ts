import { createHmac } from "node:crypto";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { until } from "./fanfare";

interface Received {
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

/** Takes what webhooks send, and answers what it was told to. */
export class Receiver {
  readonly requests: Received[] = [];
  /** The status of the next answers. */
  status = 200;
  #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        this.requests.push({ path: request.url ?? "", headers: request.headers, body: Buffer.concat(chunks).toString() });
        response.writeHead(this.status, { "Content-Type": "application/json" });
        response.end(JSON.stringify({ took: this.status < 300 }));
      });
    });
  }

  static async start(): Promise<Receiver> {
    const receiver = new Receiver();
    await new Promise<void>((resolve) => receiver.#server.listen(0, "127.0.0.1", resolve));
    return receiver;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/hook`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Waits for the first request whose body holds this text. */
  async got(text: string): Promise<Received> {
    await until(`the receiver gets ${text}`, () => this.requests.some(({ body }) => body.includes(text)));
    return this.requests.find(({ body }) => body.includes(text)) as Received;
  }
}

/** What X-Pendo-Signature must be. */
export function signature(secret: string, body: string): string {
  return createHmac("sha256", secret).update(body).digest("hex");
}
