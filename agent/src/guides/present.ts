/** Shows guides in the page: one at a time, and on one page one at most. Loaded when there is one to show. */
import type { Guide, Labels, Present, Presentation, Stage, Step } from "../guides.js";
import { SNOOZE_MS, WATCH_MS } from "../limits.js";
import { isOn } from "./pages.js";
import { type Frame, frameOf } from "./frame.js";
import { form } from "./polls.js";

const LABELS: Labels = {
  close: "Close",
  later: "Later",
  next: "Next",
  done: "Done",
  send: "Send",
  skip: "Skip",
  yes: "Yes",
  no: "No",
  unlikely: "Not at all likely",
  likely: "Extremely likely",
};

export const present: Present = (stage) => new Show(stage);

class Show implements Presentation {
  private readonly labels: Labels;
  private waiting: Guide[] = [];
  private shown: Shown | null = null;
  /** On which page a guide was shown last. */
  private shownOn: string | null = null;
  private callOff: (() => void) | null = null;

  constructor(private readonly stage: Stage) {
    this.labels = { ...LABELS, ...stage.labels };
  }

  update(guides: Guide[]): void {
    this.waiting = guides.filter(({ id }) => id !== this.shown?.guide.id);
    if (this.shown !== null && this.waiting.length === guides.length) this.end();
    this.watch();
  }

  close(): void {
    this.callOff?.();
    this.callOff = null;
    this.waiting = [];
    this.end();
  }

  private end(): void {
    this.shown?.remove();
    this.shown = null;
  }

  /** Looks again and again: pages change without being loaded, and frameworks put elements there later or take them away. */
  private watch(): void {
    this.callOff?.();
    this.callOff = null;
    this.leave();
    if (this.shown === null) this.begin();
    else this.shown.keep();
    if (this.shown !== null || this.waiting.length > 0) {
      this.callOff = this.stage.host.later(WATCH_MS, () => { this.watch(); });
    }
  }

  /** Whoever has gone to a page that the guide does not name may see it again where they come back. */
  private leave(): void {
    if (this.shown === null || isOn(this.shown.guide.pages, this.stage.host.page())) return;
    this.waiting.unshift(this.shown.guide);
    this.shownOn = null;
    this.end();
  }

  private begin(): void {
    const page = this.stage.host.page();
    if (page === this.shownOn) return;
    const isReady = ({ pages, layout, steps }: Guide) => isOn(pages, page) && (layout !== "tooltip" || isThere(steps[0]));
    const guide = this.waiting.find(isReady);
    if (guide === undefined) return;
    this.waiting = this.waiting.filter((other) => other !== guide);
    this.shownOn = page;
    this.shown = new Shown(guide, this.stage, this.labels, () => {
      this.end();
      this.watch();
    });
  }
}

/** Whether what the step points at is in the page, if it points at something. */
function isThere(step: Step | undefined): boolean {
  return step?.element == null || find(step.element) !== null;
}

/** Whoever wrote the guide may have written no selector. */
function find(selector: string): Element | null {
  try {
    return document.querySelector(selector);
  } catch {
    return null;
  }
}

/** A guide that is shown, step by step. */
class Shown {
  private at = -1;
  private frame: Frame | null = null;

  constructor(
    readonly guide: Guide,
    private readonly stage: Stage,
    private readonly labels: Labels,
    private readonly onEnd: () => void,
  ) {
    this.next();
  }

  /** Keeps it in the page and at its place. */
  keep(): void {
    const step = this.guide.steps[this.at];
    if (step === undefined) return;
    const target = this.target(step);
    if (this.frame === null && (this.guide.layout !== "tooltip" || isThere(step))) this.draw(step);
    else this.frame?.keep(target);
  }

  remove(): void {
    this.frame?.remove();
    this.frame = null;
  }

  private target(step: Step): Element | null {
    return this.guide.layout === "tooltip" && step.element !== null ? find(step.element) : null;
  }

  private next(): void {
    this.remove();
    this.at += 1;
    this.keep();
  }

  private draw(step: Step): void {
    const { guide, labels } = this;
    const startedAt = this.stage.host.now();
    const isLast = this.at === guide.steps.length - 1;
    const hasAnswers = () => {
      const { polls, nps } = answers();
      return polls.length > 0 || nps !== null;
    };
    const name = () => (step.polls.length === 0 ? (isLast ? labels.done : labels.next) : hasAnswers() ? labels.send : labels.skip);
    const { elements, answers } = form(step, labels, () => { this.frame?.rename(name()); });
    this.frame = frameOf(guide, step, elements, labels, {
      close: () => { this.leave(step, "guideDismissed"); },
      later: () => { this.leave(step, "guideSnoozed", { snoozeMs: SNOOZE_MS }); },
      main: () => {
        const { polls, nps } = answers();
        const duration = this.stage.host.now() - startedAt;
        const responses = polls.map((answer) => ({ ...answer, duration }));
        if (responses.length > 0) this.report(step, "pollResponse", { responses }, "pollResponse");
        if (nps !== null) this.report(step, "npsResponse", { ...nps, source: "web" }, "pollResponse");
        if (isLast) this.leave(step, "guideFinished");
        else this.next();
      },
    });
    this.frame.rename(name());
    this.frame.keep(this.target(step));
    this.report(step, "guideSeen", { stepPollTypes: step.polls.map(({ type }) => type) }, "guideSeen");
  }

  private leave(step: Step, type: string, fields: Record<string, unknown> = {}): void {
    this.report(step, type, fields);
    this.onEnd();
  }

  private report(step: Step, type: string, fields: Record<string, unknown>, event?: "guideSeen" | "pollResponse"): void {
    const language = document.documentElement.lang || navigator.language;
    this.stage.report(type, { guideId: this.guide.id, guideStepId: step.id, language, ...fields }, event);
  }
}
