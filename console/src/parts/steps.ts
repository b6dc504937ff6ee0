import type { Figures } from "../api/figures";

export type Step = Figures["data"][number];

/** All steps of a span of time, one after the other; those in which nothing was attempted are undefined. */
export function stepsOf({ from, to, step_min, data }: Figures): { at: Date; step: Step | undefined }[] {
  const size = step_min * 60_000;
  const known = new Map(data.map((step) => [Date.parse(step.at), step]));
  const first = Math.floor(Date.parse(from) / size) * size;
  const steps = [];
  for (let at = first; at < Date.parse(to); at += size) steps.push({ at: new Date(at), step: known.get(at) });
  return steps;
}

/** A round number that is not below the largest: where the axis of a chart ends. */
export function axisEnd(largest: number): number {
  if (largest <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(largest));
  return ([1, 2, 5, 10].find((factor) => factor * power >= largest) ?? 10) * power;
}

/**
 * A line through those points that there are, broken where one is missing; `x` and `y` say where each is. It begins with
 * a line of no length, which is drawn as a dot: so a point that stands alone is seen.
 */
export function path(values: (number | undefined)[], x: (index: number) => number, y: (value: number) => number): string {
  let isDown = false;
  const parts = values.map((value, index) => {
    if (value === undefined) {
      isDown = false;
      return "";
    }
    const [left, top] = [x(index).toFixed(1), y(value).toFixed(1)];
    const part = isDown ? `L${left} ${top}` : `M${left} ${top}h0`;
    isDown = true;
    return part;
  });
  return parts.join("");
}
