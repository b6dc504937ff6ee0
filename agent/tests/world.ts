/** A world for the agent: pages, their common storage, a server, and time that only a test moves. */
import { create, type Defaults, type Fanfare } from "../src/agent";
import type { Guide, Stage } from "../src/guides";
import type { Answer, Host } from "../src/host";

export interface Item {
  id: string;
  type: string;
  visitorId: string;
  accountId?: string;
  browserTime: number;
  [field: string]: unknown;
}

/** What a page asks before it shows guides. */
export interface Asked {
  visitorId: string;
  accountId: string;
  visitor: Record<string, unknown>;
  account: Record<string, unknown>;
}

export const START = 1_800_000_000_000;

/** What the server answers to a batch, or that there is no answer. */
type Answering = (items: Item[], body: string) => Partial<Answer> | "nothing" | "never";

export class World {
  now = START;
  storage = new Map<string, string>();
  /** Each batch that arrived, by whichever way. */
  batches: { by: "fetch" | "beacon"; url: string; items: Item[] }[] = [];
  /** What the server has taken: each id once. */
  taken = new Map<string, Item>();
  said: string[] = [];
  answering: Answering = () => ({ status: 200 });
  /** Which guides the server has for whom, or that it has no answer. */
  guides: (asked: Asked) => Guide[] | "nothing" = () => [];
  asked: Asked[] = [];
  beacons: "taken" | "refused" = "taken";
  doNotTrack = false;
  storageWorks = true;
  private timers: { at: number; run: () => void }[] = [];
  private ids = 0;
  private seed = 1;

  /** A page with an agent of its own, initialized unless a test does that. */
  page(options: Parameters<Fanfare["initialize"]>[0] | null = {}, defaults: Defaults = { key: "k", server: "https://f.test" }): Page {
    const page = new Page(this, defaults);
    if (options !== null) page.agent.initialize(options);
    return page;
  }

  /** Everything that was taken, in the order of its time. */
  get items(): Item[] {
    return [...this.taken.values()];
  }

  /** Who did what for whom. */
  get tracked(): string[] {
    const shown = ({ name, visitorId, accountId }: Item) => `${String(name)} by ${visitorId} for ${accountId ?? "none"}`;
    return this.items.filter(({ type }) => type === "track").map(shown);
  }

  /** Lets time pass, and everything happen that is due meanwhile. */
  async pass(ms: number): Promise<void> {
    const until = this.now + ms;
    await settle();
    for (;;) {
      this.timers.sort((a, b) => a.at - b.at);
      const next = this.timers[0];
      if (next === undefined || next.at > until) break;
      this.timers.shift();
      this.now = Math.max(this.now, next.at);
      next.run();
      await settle();
    }
    this.now = until;
  }

  later(ms: number, run: () => void): () => void {
    const timer = { at: this.now + ms, run };
    this.timers.push(timer);
    return () => { this.timers = this.timers.filter((other) => other !== timer); };
  }

  ask(body: string): Promise<Answer> {
    const asked = JSON.parse(body) as Asked;
    this.asked.push(asked);
    const guides = this.guides(asked);
    if (guides === "nothing") return Promise.reject(new TypeError("Failed to fetch"));
    return Promise.resolve({ status: 200, retryAfterMs: 0, rejected: [], guides, doNotTrack: this.doNotTrack });
  }

  arrive(by: "fetch" | "beacon", url: string, body: string): Promise<Answer> {
    const { events } = JSON.parse(body) as { events: Item[] };
    this.batches.push({ by, url, items: events });
    const answer = this.answering(events, body);
    if (answer === "never") return new Promise(() => undefined);
    if (answer === "nothing") return Promise.reject(new TypeError("Failed to fetch"));
    const whole = { status: 200, retryAfterMs: 0, rejected: [], guides: [], doNotTrack: false, ...answer };
    if (whole.status === 200) for (const item of events) if (!this.taken.has(item.id)) this.taken.set(item.id, item);
    return Promise.resolve(whole);
  }

  random(): number {
    this.seed = (this.seed * 48_271) % 2_147_483_647;
    return this.seed / 2_147_483_647;
  }

  uniqueId(): string {
    this.ids += 1;
    return `id-${this.ids}`;
  }
}

/** One tab. */
export class Page {
  readonly agent: Fanfare;
  address = "https://app.test/orders";
  /** The guides that may be shown in it now, and with what; nothing before there is one. */
  shown: string[] | null = null;
  stage: Stage | null = null;
  private hides: (() => void)[] = [];
  private returns: (() => void)[] = [];
  private isGone = false;

  constructor(
    private readonly world: World,
    defaults: Defaults,
  ) {
    this.agent = create(this.host(), defaults);
  }

  /** The tab is hidden, shown again, or left: then nothing of it runs any more. */
  hide(): void { for (const run of this.hides) run(); }
  show(): void { for (const run of this.returns) run(); }
  leave(): void {
    this.hide();
    this.isGone = true;
  }
  /** The browser is killed: nothing of the page gets a chance. */
  crash(): void { this.isGone = true; }

  private host(): Host {
    const { world } = this;
    const alive = (run: () => void) => () => { if (!this.isGone) run(); };
    return {
      now: () => world.now,
      random: () => world.random(),
      uniqueId: () => world.uniqueId(),
      later: (ms, run) => world.later(ms, alive(run)),
      post: async (url, body) => {
        const answer = await (url.includes("/data/guides") ? world.ask(body) : world.arrive("fetch", url, body));
        return this.isGone ? new Promise<never>(() => undefined) : answer;
      },
      presenter: () => Promise.resolve((stage) => {
        this.stage = stage;
        return {
          update: (guides) => { this.shown = guides.map(({ id }) => id); },
          close: () => { this.shown = null; },
        };
      }),
      beacon(url, body) {
        if (world.beacons === "refused") return false;
        void world.arrive("beacon", url, body).catch(() => undefined);
        return true;
      },
      storage: {
        get: (key) => world.storage.get(key) ?? null,
        set(key, value) {
          if (world.storageWorks) world.storage.set(key, value);
          return world.storageWorks;
        },
        remove: (key) => { world.storage.delete(key); },
        keys: () => [...world.storage.keys()],
      },
      onHide: (run) => { this.hides.push(run); },
      onReturn: (run) => { this.returns.push(run); },
      page: () => this.address,
      asksNotToBeTracked: () => world.doNotTrack,
      say: (words) => { world.said.push(words); },
    };
  }
}

/** Lets everything happen that needs no time. */
async function settle(): Promise<void> {
  await new Promise((done) => setImmediate(done));
}
