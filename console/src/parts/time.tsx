import { Tooltip } from "@mantine/core";

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
  ["second", 1_000],
];

/** How long ago a moment is, or how far ahead, in words. */
export function ago(at: Date, now: Date): string {
  const ms = at.getTime() - now.getTime();
  const [unit, size] = UNITS.find(([, size]) => Math.abs(ms) >= size) ?? ["second", 1_000];
  return relative.format(Math.round(ms / size), unit);
}

/** A moment in words, and exactly for those who point at it. */
export function Time({ at, none = "never" }: { at: string | null | undefined; none?: string }) {
  if (at === null || at === undefined) return <>{none}</>;
  const date = new Date(at);
  return (
    <Tooltip label={date.toLocaleString("en", { dateStyle: "medium", timeStyle: "long" })}>
      <time dateTime={at} tabIndex={0}>
        {ago(date, new Date())}
      </time>
    </Tooltip>
  );
}

/** Milliseconds as people read them. */
export function duration(ms: number): string {
  if (ms < 1) return `${ms.toFixed(2)} ms`;
  if (ms < 1_000) return `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;
  return `${(ms / 1_000).toFixed(ms < 10_000 ? 2 : 1)} s`;
}
