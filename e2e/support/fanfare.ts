import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PROGRAM = process.env.FANFARE_PROGRAM ?? new URL("../../target/debug/fanfare", import.meta.url).pathname;

/** What `fanfare init` prints. */
interface Keys {
  subscription_id: number;
  agent_key: string;
  track_secret: string;
  integration_key: string;
  setup_url: string;
}

/** The real program on a port and a data directory of its own. */
export class Fanfare {
  readonly url: string;
  readonly keys: Keys;
  #child: ChildProcess;
  #dir: string;
  #log: string[] = [];
  #kill = () => void this.#child.kill("SIGKILL");

  private constructor(url: string, keys: Keys, dir: string, flags: string[]) {
    this.url = url;
    this.keys = keys;
    this.#dir = dir;
    this.#child = spawn(PROGRAM, ["serve", ...flags], { stdio: ["ignore", "ignore", "pipe"], env: environment() });
    // Whatever becomes of a story, nothing of it is left running.
    process.once("exit", this.#kill);
    this.#child.stderr?.on("data", (chunk: Buffer) => this.#log.push(chunk.toString()));
  }

  /** Prepares an empty directory, starts the program on it and waits until it serves. */
  static async start(flags: string[] = [], publicUrl?: string): Promise<Fanfare> {
    const dir = mkdtempSync(join(tmpdir(), "fanfare-e2e-"));
    const address = `127.0.0.1:${await freePort()}`;
    const where = ["--data-dir", join(dir, "data"), "--listen", address, ...(publicUrl ? ["--public-url", publicUrl] : [])];
    const printed = execFileSync(PROGRAM, ["init", "--json", ...where], { env: environment() }).toString();
    const fanfare = new Fanfare(`http://${address}`, JSON.parse(printed) as Keys, dir, [...where, "--allow-private", ...flags]);
    await fanfare.#ready();
    return fanfare;
  }

  async #ready(): Promise<void> {
    await until("the server is ready", async () => {
      if (this.#child.exitCode !== null) throw new Error(`the server ended:\n${this.#log.join("")}`);
      const answer = await fetch(`${this.url}/readyz`).catch(() => undefined);
      return answer?.ok === true;
    });
  }

  /** SIGTERM, which must end it in order; what it has kept is deleted. */
  async stop(): Promise<void> {
    const ended = new Promise<number | null>((resolve) => this.#child.once("exit", resolve));
    if (this.#child.exitCode === null) this.#child.kill("SIGTERM");
    const code = this.#child.exitCode ?? (await ended);
    process.off("exit", this.#kill);
    rmSync(this.#dir, { recursive: true, force: true });
    const log = this.#log.join("");
    if (code !== 0 || log.includes("panicked")) throw new Error(`the server ended with ${code}:\n${log}`);
  }

  /** A call of the management API with the integration key. */
  async api<T = Record<string, unknown>>(method: string, path: string, body?: unknown): Promise<T> {
    const headers = { Authorization: `Bearer ${this.keys.integration_key}`, "Content-Type": "application/json" };
    const answer = await fetch(`${this.url}/api/v1${path}`, { method, headers, body: body === undefined ? null : JSON.stringify(body) });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return (text === "" ? {} : JSON.parse(text)) as T;
  }

  /** A webhook with these values, which is on. */
  async webhook(name: string, url: string, values: Record<string, unknown> = {}): Promise<string> {
    const { id } = await this.api<{ id: string }>("POST", "/webhooks", { name, type: "url", url, categories: "all", ...values });
    await this.api("PATCH", `/webhooks/${id}`, { enabled: true });
    return id;
  }

  /** A track event through the Track API. */
  async track(event: string, properties: Record<string, unknown> = {}, visitorId = "ann"): Promise<void> {
    const answer = await fetch(`${this.url}/data/track`, {
      method: "POST",
      headers: { "x-pendo-integration-key": this.keys.track_secret, "Content-Type": "application/json" },
      body: JSON.stringify({ type: "track", event, visitorId, accountId: "acme", timestamp: Date.now(), properties }),
    });
    if (!answer.ok) throw new Error(`track: ${answer.status} ${await answer.text()}`);
  }

  /** A batch of the browser agent. */
  async agent(events: unknown[]): Promise<void> {
    const answer = await fetch(`${this.url}/data/events`, {
      method: "POST",
      headers: { "x-fanfare-agent-key": this.keys.agent_key, "Content-Type": "application/json" },
      body: JSON.stringify({ agentVersion: "2.33.0", events }),
    });
    if (!answer.ok) throw new Error(`agent: ${answer.status} ${await answer.text()}`);
  }

  /** The states of a webhook's newest deliveries, newest first. */
  async states(webhook: string): Promise<string[]> {
    const { data } = await this.api<{ data: { status: string }[] }>("GET", `/webhooks/${webhook}/deliveries`);
    return data.map(({ status }) => status);
  }
}

/** Settings come from flags alone. */
function environment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("FANFARE_")));
}

/** A port that nobody listens on. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => {
        if (address === null || typeof address === "string") reject(new Error("no port"));
        else resolve(address.port);
      });
    });
  });
}

const PATIENCE_MS = 120_000;

/** Waits until something holds, asking again and again. */
export async function until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  const end = Date.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`it did not come about that ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
