import { createServer, type Server, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import { until } from "./fanfare";

/** A mail server that takes everything: as much SMTP as a client that trusts it speaks. */
export class Mailbox {
  readonly mails: string[] = [];
  #server: Server;
  #open = new Set<Socket>();

  private constructor() {
    this.#server = createServer((socket) => {
      this.#open.add(socket);
      socket.once("close", () => this.#open.delete(socket));
      socket.on("error", () => socket.destroy());
      converse(socket, (mail) => this.mails.push(mail));
    });
  }

  static async start(): Promise<Mailbox> {
    const mailbox = new Mailbox();
    await new Promise<void>((resolve) => mailbox.#server.listen(0, "127.0.0.1", resolve));
    return mailbox;
  }

  /** The settings by which a server sends its mail here. */
  get flags(): string[] {
    const { port } = this.#server.address() as AddressInfo;
    return ["--smtp-host", "127.0.0.1", "--smtp-port", String(port), "--smtp-security", "none"];
  }

  async stop(): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Waits for a mail with a link to this page, and gives the link. */
  async link(page: string): Promise<string> {
    // A long line is broken by the encoding, with an equals sign at its end, and "=" itself is written "=3D".
    const links = () => this.mails.map((mail) => mail.replaceAll("=\r\n", "").replaceAll("=3D", "="));
    const find = () => links().map((mail) => mail.match(new RegExp(`http\\S*/${page}\\?token=[\\w-]+`))?.[0]).find(Boolean);
    await until(`a mail with a link to ${page} arrives`, () => find() !== undefined);
    return find() as string;
  }
}

function converse(socket: Socket, take: (mail: string) => void): void {
  let pending = "";
  let mail: string[] | undefined;
  socket.write("220 e2e\r\n");
  socket.on("data", (chunk) => {
    const lines = (pending + chunk.toString()).split("\r\n");
    pending = lines.pop() ?? "";
    for (const line of lines) {
      if (mail === undefined) {
        if (/^DATA$/i.test(line)) mail = [];
        socket.write(answerTo(line));
        if (/^QUIT$/i.test(line)) socket.end();
      } else if (line === ".") {
        take(mail.join("\r\n"));
        mail = undefined;
        socket.write("250 taken\r\n");
      } else mail.push(line.replace(/^\.\./, "."));
    }
  });
}

function answerTo(line: string): string {
  if (/^EHLO/i.test(line)) return "250-e2e\r\n250 8BITMIME\r\n";
  if (/^DATA$/i.test(line)) return "354 go on\r\n";
  if (/^QUIT$/i.test(line)) return "221 bye\r\n";
  return "250 ok\r\n";
}
