/** What is around a step: in the middle of the page, across its top, or beside an element. */
import type { Guide, Labels, Step } from "../guides.js";
import { element, markdown } from "./markdown.js";
import { text } from "./polls.js";
import { STYLE } from "./style.js";

/** What its buttons do. */
export interface Deeds {
  close: () => void;
  later: () => void;
  main: () => void;
}

export interface Frame {
  /** The main button's name. */
  rename: (name: string) => void;
  /** Keeps it in the page, and beside what it points at. */
  keep: (target: Element | null) => void;
  remove: () => void;
}

/** Events that are the guide's own: shortcuts of the page are not meant by what is typed here. */
const OWN_EVENTS = ["keydown", "keyup", "keypress", "input", "change", "click", "pointerdown", "mousedown", "focusin", "paste"];
/** The space between a tooltip and what it points at, and between it and the edge of the page. */
const GAP = 8;

export function frameOf(guide: Guide, step: Step, fields: HTMLElement[], labels: Labels, deeds: Deeds): Frame {
  const holder = holderOf();
  const root = holder.attachShadow({ mode: "open" });
  style(root);
  const isModal = guide.layout === "modal" || (guide.layout === "tooltip" && step.element === null);
  const box = boxOf(guide, isModal);
  const main = button("main", "", deeds.main);
  box.append(inner(guide, step, fields, [button("", labels.later, deeds.later), main], button("close", "×", deeds.close, labels.close)));
  box.addEventListener("keydown", (event) => {
    // A modal's own way to close by Escape is its "cancel".
    if (event.key === "Escape" && !isModal) deeds.close();
  });
  box.addEventListener("cancel", (event) => {
    event.preventDefault();
    deeds.close();
  });
  root.append(box);
  for (const name of OWN_EVENTS) root.addEventListener(name, (event) => { event.stopPropagation(); });
  const attach = () => {
    document.documentElement.append(holder);
    if (!isModal) return;
    // Out of the page and in again, it is no longer above everything.
    box.removeAttribute("open");
    (box as HTMLDialogElement).showModal();
  };
  let target: Element | null = null;
  const place = () => { if (target !== null) placeBeside(box, target); };
  for (const name of ["scroll", "resize"]) window.addEventListener(name, place, { capture: true, passive: true });
  return {
    rename: (name) => { main.textContent = name; },
    keep(beside) {
      if (!holder.isConnected) attach();
      target = beside;
      place();
    },
    remove() {
      for (const name of ["scroll", "resize"]) window.removeEventListener(name, place, { capture: true });
      // Closed, it gives the focus back to whoever had it.
      if (isModal) (box as HTMLDialogElement).close();
      holder.remove();
    },
  };
}

/** What holds the guide in the page. What the page's styles say of every element does not count for it. */
function holderOf(): HTMLElement {
  const holder = document.createElement("div");
  holder.setAttribute("data-fanfare-guide", "");
  const important: Record<string, string> = {
    all: "initial", display: "block", position: "fixed", inset: "0 auto auto 0", width: "0", height: "0", "z-index": "2147483647",
  };
  for (const [name, value] of Object.entries(important)) holder.style.setProperty(name, value, "important");
  return holder;
}

/** A sheet made by script is let in by the strictest policy; an element with styles is not. */
function style(root: ShadowRoot): void {
  try {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    root.adoptedStyleSheets = [sheet];
  } catch {
    root.append(element("style", [text(STYLE)]));
  }
}

function boxOf(guide: Guide, isModal: boolean): HTMLElement {
  const box = document.createElement(isModal ? "dialog" : "div");
  box.className = isModal ? "guide" : `guide ${guide.layout}`;
  box.setAttribute("aria-label", guide.name);
  if (isModal) return box;
  box.setAttribute("role", guide.layout === "banner" ? "region" : "dialog");
  // It does not take the focus from whoever works in the page; it is read out when they pause.
  box.setAttribute("aria-live", "polite");
  return box;
}

function inner(guide: Guide, step: Step, fields: HTMLElement[], buttons: HTMLElement[], close: HTMLElement): HTMLElement {
  const words = element("div", [markdown(step.text)]);
  words.className = "text";
  if (step.text.trim() === "") words.append(element("h3", [text(guide.name)]));
  const top = element("div", [words, close]);
  top.className = "top";
  const row = element("div", buttons);
  row.className = "buttons";
  const made = element("div", [top, ...fields, row]);
  made.className = "inner";
  return made;
}

function button(name: string, label: string, run: () => void, words?: string): HTMLButtonElement {
  const made = document.createElement("button");
  made.type = "button";
  made.className = name;
  made.textContent = label;
  if (words !== undefined) made.setAttribute("aria-label", words);
  made.addEventListener("click", run);
  return made;
}

/** Below what it points at, or above it where there is no room below; always within the page. */
function placeBeside(box: HTMLElement, target: Element): void {
  const at = target.getBoundingClientRect();
  const { width, height } = box.getBoundingClientRect();
  const [pageWidth, pageHeight] = [window.innerWidth, window.innerHeight];
  const below = at.bottom + GAP;
  const fits = below + height <= pageHeight - GAP || at.top < height + 2 * GAP;
  const top = fits ? below : at.top - height - GAP;
  const within = (value: number, most: number) => Math.max(GAP, Math.min(value, most));
  box.style.top = `${within(top, pageHeight - height - GAP)}px`;
  box.style.left = `${within(at.left, pageWidth - width - GAP)}px`;
}
