import { Guides, type Labels } from "./guides.js";
import { complain, type Host } from "./host.js";
import { EARLY_EVENTS, ITEM_BYTES, LEFT_BEHIND_MS, NAME_LENGTH } from "./limits.js";
import { Outbox, size } from "./outbox.js";
import { Sender } from "./sender.js";
import { anonymousId, type Fields, fieldsOf, idOf, isAnonymous, type Named, takeAnonymousId, type Who } from "./who.js";

/** The agent's version, which it states with each batch. */
export const VERSION: string = __VERSION__;

/** Who uses the page. */
export interface Options {
  /** The visitor: an `id`, and whatever else is to be known of them. Without an id that is one, they are anonymous. */
  visitor?: Named | null | undefined;
  /** The account for which they use it. */
  account?: Named | null | undefined;
}

/** What `initialize` is told. */
export interface InitializeOptions extends Options {
  /** The app's agent key. The script can have it from its `data-key`. */
  key?: string;
  /** Where Fanfare is, like https://fanfare.example.com. The script knows it from its own address. */
  server?: string;
  /** Whether nothing is kept and sent of those whose browser says that they do not want to be tracked. */
  respectDoNotTrack?: boolean;
  /** Whether guides are shown in this page; they are, unless it says false. */
  guides?: boolean;
  /** What guides say by themselves, where it is not to be English. */
  guideLabels?: Partial<Labels>;
  /** What is called when something has happened. */
  events?: Partial<Record<EventName, Listener>>;
}

/**
 * What happens in the agent: `ready`, once it knows who is here; `guidesLoaded`, when it knows which guides may be shown
 * (`guideIds`); `guideSeen`, when a step is shown; and `pollResponse`, when polls were answered.
 */
export type EventName = "ready" | "guidesLoaded" | "guideSeen" | "pollResponse";
export type Listener = (detail: Readonly<Fields>) => void;

/** What an application calls. None of it throws, and none of it waits. */
export interface Fanfare {
  /** Says who uses the page, and begins to send. A second call is the same as `identify`. */
  initialize(options: InitializeOptions): void;
  /**
   * Says that somebody else uses the page now, or that somebody has signed in. Who changes and names no account has none;
   * who stays the same keeps it. Without an id that is one, they are anonymous: that is how to sign out.
   */
  identify(visitor: Options | string | null, accountId?: string | null): void;
  /** Adds to what is known of visitor and account, or changes the account. What is not named stays. */
  updateOptions(options: Options): void;
  /** Something has happened. `properties` are copied at once. */
  track(name: string, properties?: Fields): void;
  /** Whether it knows who is here. */
  isReady(): boolean;
  /** Sends what waits, now; done when that was sent or has failed. */
  flushNow(): Promise<void>;
  /** Who uses the page; "" before `initialize`. */
  getVisitorId(): string;
  /** For which account; "" for none. */
  getAccountId(): string;
  getVersion(): string;
  events: {
    /** Calls `listener` when it happens; at once too, when it is `ready` or `guidesLoaded` and has happened. */
    on: (name: EventName, listener: Listener) => void;
    off: (name: EventName, listener: Listener) => void;
  };
}

/** What the script knows by itself. */
export interface Defaults {
  key?: string | undefined;
  server?: string | undefined;
}

const EVENTS: EventName[] = ["ready", "guidesLoaded", "guideSeen", "pollResponse"];
/** Whoever asks for these later is told at once. */
const LASTING: EventName[] = ["ready", "guidesLoaded"];

/** What was tracked before it was known who is here. */
interface Early {
  at: number;
  fields: Fields;
}

/** An agent that does what it does with this host; nothing at all where there is none, as in a server that renders pages. */
export function create(host: Host | null, defaults: Defaults = {}): Fanfare {
  const agent = host === null ? null : new Agent(host, defaults);
  const guarded = <T>(otherwise: T, run: (agent: Agent) => T): T => {
    try {
      return agent === null ? otherwise : run(agent);
    } catch (error) {
      complain(host, error);
      return otherwise;
    }
  };
  return {
    initialize(options) { guarded(undefined, (agent) => { agent.initialize(options); }); },
    identify(visitor, accountId) { guarded(undefined, (agent) => { agent.identify(visitor, accountId); }); },
    updateOptions(options) { guarded(undefined, (agent) => { agent.updateOptions(options); }); },
    track(name, properties) { guarded(undefined, (agent) => { agent.track(name, properties); }); },
    isReady: () => guarded(false, (agent) => agent.who !== null),
    flushNow: () => guarded(Promise.resolve(), (agent) => agent.flushNow()),
    getVisitorId: () => guarded("", (agent) => agent.who?.visitorId ?? ""),
    getAccountId: () => guarded("", (agent) => agent.who?.accountId ?? ""),
    getVersion: () => VERSION,
    events: {
      on(name, listener) { guarded(undefined, (agent) => { agent.on(name, listener); }); },
      off(name, listener) { guarded(undefined, (agent) => { agent.off(name, listener); }); },
    },
  };
}

class Agent {
  who: Who | null = null;
  private outbox: Outbox | null = null;
  private sender: Sender | null = null;
  private early: Early[] = [];
  private isDeclined = false;
  private guides: Guides | null = null;
  /** Done when what must be known before guides are asked for was sent. */
  private settled: Promise<void> = Promise.resolve();
  private readonly listeners = new Map<EventName, Listener[]>(EVENTS.map((name) => [name, []]));
  /** What is so from then on, and with what. */
  private readonly lasting = new Map<EventName, Fields>();

  constructor(
    private readonly host: Host,
    private readonly defaults: Defaults,
  ) {}

  initialize(options: InitializeOptions): void {
    if (this.isDeclined) return;
    if (this.who !== null) {
      this.become(options, "anew");
      return;
    }
    const key = options.key ?? this.defaults.key ?? "";
    const server = options.server ?? this.defaults.server ?? "";
    if (key === "" || server === "") {
      this.host.say("initialize needs key and server");
      return;
    }
    if (options.respectDoNotTrack === true && this.host.asksNotToBeTracked()) {
      this.decline(new Outbox(this.host, key));
      return;
    }
    for (const name of EVENTS) {
      const listener = options.events?.[name];
      if (listener) this.listeners.get(name)?.unshift(listener);
    }
    this.begin(key, server, options);
    this.become(options, "anew");
    for (const { at, fields } of this.early.splice(0)) this.put("track", fields, at);
    this.happened("ready", {});
  }

  identify(named: Options | string | null, accountId?: string | null): void {
    if (typeof named === "object" && named !== null) this.become(named, "anew");
    else this.become({ visitor: { id: named }, ...(accountId == null ? {} : { account: { id: accountId } }) }, "anew");
  }

  updateOptions(options: Options): void {
    this.become(options, "added");
  }

  track(name: unknown, properties: unknown): void {
    if (this.isDeclined) return;
    if (typeof name !== "string" || name.trim() === "" || name.length > NAME_LENGTH) {
      this.host.say("track needs a name");
      return;
    }
    const isObject = typeof properties === "object" && properties !== null && !Array.isArray(properties);
    const fields: Fields = { name, properties: isObject ? properties : {} };
    if (this.who !== null) this.put("track", fields, this.host.now());
    // A copy, because what the application does with its object later is not what it has tracked.
    else if (this.early.length < EARLY_EVENTS) this.early.push({ at: this.host.now(), fields: copy(fields) });
  }

  flushNow(): Promise<void> {
    return this.sender?.now() ?? Promise.resolve();
  }

  on(name: EventName, listener: Listener): void {
    if (typeof listener !== "function") return;
    this.listeners.get(name)?.push(listener);
    const detail = this.lasting.get(name);
    if (detail !== undefined) this.call(listener, detail);
  }

  off(name: EventName, listener: Listener): void {
    const listeners = this.listeners.get(name);
    if (listeners) this.listeners.set(name, listeners.filter((other) => other !== listener));
  }

  private begin(key: string, server: string, options: InitializeOptions): void {
    const urlOf = (what: string) => `${server.replace(/\/+$/, "")}/data/${what}?key=${encodeURIComponent(key)}`;
    const url = urlOf("events");
    const outbox = new Outbox(this.host, key);
    const sender = new Sender(this.host, outbox, url, VERSION, () => { this.decline(outbox); });
    const guarded = (run: () => void) => () => {
      try {
        run();
      } catch (error) {
        complain(this.host, error);
      }
    };
    [this.outbox, this.sender] = [outbox, sender];
    if (options.guides !== false) {
      this.guides = new Guides(this.host, urlOf("guides"), VERSION, options.guideLabels ?? {}, {
        settled: () => this.settled,
        declined: () => { this.decline(outbox); },
        happened: (event, detail) => { this.happened(event as EventName, detail); },
        report: (who, type, fields, event) => {
          this.putOf(who, type, fields, this.host.now());
          this.settled = this.flushNow();
          if (event !== undefined) this.happened(event as EventName, fields);
        },
      });
    }
    this.host.onHide(guarded(() => { sender.hide(); }));
    this.host.onReturn(guarded(() => {
      sender.again();
      this.guides?.again();
    }));
    // Looking for what others have left can wait until the page is there. What the page before this one has left is found
    // once it is old enough.
    for (const ms of [0, LEFT_BEHIND_MS + 1]) {
      this.host.later(ms, guarded(() => {
        outbox.adopt();
        if (outbox.length > 0) sender.soon();
      }));
    }
  }

  /** Nothing is kept of somebody who does not want it, also not what was kept before they said so. */
  private decline(outbox: Outbox): void {
    this.isDeclined = true;
    this.early = [];
    this.guides?.stop();
    [this.who, this.outbox, this.sender, this.guides] = [null, null, null, null];
    takeAnonymousId(this.host);
    outbox.forget();
    this.host.say("nothing is sent: the browser asks not to be tracked");
  }

  private become(options: Options, how: "anew" | "added"): void {
    if (this.isDeclined) return;
    if (this.outbox === null) {
      this.host.say("initialize comes first");
      return;
    }
    const before = this.who;
    const who = next(this.host, before, options, how);
    this.who = who;
    if (before !== null && JSON.stringify(before) === JSON.stringify(who)) return;
    if (!isAnonymous(who.visitorId)) this.identified(before, who);
    this.guides?.show(who);
  }

  private identified(before: Who | null, who: Who): void {
    // What they did before they signed in was done under this id.
    const was = before === null || isAnonymous(before.visitorId) ? takeAnonymousId(this.host, before?.visitorId) : "";
    const fields: Fields = { visitor: who.visitor, account: who.account };
    this.put("identify", was === "" ? fields : { ...fields, anonymousId: was }, this.host.now());
    // Their guides go on from where they were.
    if (was !== "" && this.guides !== null) this.settled = this.flushNow();
  }

  private put(type: string, fields: Fields, at: number): void {
    if (this.who !== null) this.putOf(this.who, type, fields, at);
  }

  private putOf({ visitorId, accountId }: Who, type: string, fields: Fields, at: number): void {
    if (this.outbox === null) return;
    const id = this.host.uniqueId();
    const about = { ...(accountId === "" ? {} : { accountId }), ...urlOf(this.host.page()) };
    const json = JSON.stringify({ type, id, visitorId, ...about, browserTime: at, ...fields });
    const bytes = size(json);
    if (bytes > ITEM_BYTES) {
      this.host.say(`${type} is larger than ${ITEM_BYTES} bytes and was not taken`);
      return;
    }
    this.outbox.add({ id, at, json, bytes });
    this.sender?.soon();
  }

  private happened(name: EventName, detail: Fields): void {
    if (LASTING.includes(name)) this.lasting.set(name, detail);
    for (const listener of [...(this.listeners.get(name) ?? [])]) this.call(listener, detail);
  }

  private call(listener: Listener, detail: Fields): void {
    try {
      listener(detail);
    } catch (error) {
      this.host.say("a listener has thrown", error);
    }
  }
}

/** Who is here after they were named so. */
function next(host: Host, before: Who | null, { visitor, account }: Options, how: "anew" | "added"): Who {
  const isNamed = (named: Named | null | undefined) => named !== undefined && (how === "anew" || (named !== null && "id" in named));
  const wasAnonymous = before !== null && isAnonymous(before.visitorId);
  const named = isNamed(visitor) ? idOf(visitor?.id) : (before?.visitorId ?? "");
  const visitorId = named !== "" ? named : wasAnonymous ? before.visitorId : anonymousId(host);
  const isSame = visitorId === before?.visitorId;
  const accountId = isNamed(account) ? idOf(account?.id) : isSame ? before.accountId : "";
  const isSameAccount = isSame && accountId === before.accountId;
  return {
    visitorId,
    accountId,
    visitor: fields(isSame ? before.visitor : {}, visitor, how),
    account: fields(isSameAccount ? before.account : {}, account, how),
  };
}

/** What is known of somebody after they were named so. */
function fields(before: Fields, named: Named | null | undefined, how: "anew" | "added"): Fields {
  const told = copy(fieldsOf(named));
  return how === "anew" && named !== undefined ? told : { ...before, ...told };
}

function urlOf(url: string): { url?: string } {
  return url === "" ? {} : { url };
}

function copy(fields: Fields): Fields {
  return JSON.parse(JSON.stringify(fields)) as Fields;
}
