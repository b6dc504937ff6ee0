/** What somebody wants to try. */
export interface Plan {
  receiver: Receiver;
  /** Where the webhook sends to. */
  url: string;
  /** What X-Pendo-Signature is made with. */
  secret: string;
}

export type Receiver = "inspector" | "listen" | "own";

/** Where `fanfare listen` receives when nothing else is said. */
export const LISTEN_URL = "http://127.0.0.1:9000/";

/** The command that receives on one's own machine, and verifies. */
export function listenCommand({ secret }: Pick<Plan, "secret">): string {
  return `fanfare listen --secret '${secret}'`;
}
