import { Group, Stack, Text } from "@mantine/core";
import { useState } from "react";
import { axisEnd, path } from "./steps";

const WIDTH = 480;
const HEIGHT = 120;

export interface Series {
  name: string;
  colour: string;
  /** One for each step; undefined where nothing is known. */
  values: (number | undefined)[];
}

interface ChartProps {
  title: string;
  /** When each step begins. */
  times: Date[];
  series: Series[];
  /** How a value is written. */
  show: (value: number) => string;
  kind: "lines" | "bars";
  /** Where the axis ends, if not by the values. */
  end?: number;
}

/** Values over time: lines, or bars that stand on each other. Pointing at a step tells its values. */
export function Chart({ title, times, series, show, kind, end }: ChartProps) {
  const [pointed, setPointed] = useState<number>();
  const top = end ?? axisEnd(Math.max(0, ...times.map((_, index) => largestAt(series, index, kind))));
  const summary = series.map(({ name, values }) => `${name} at most ${show(Math.max(0, ...values.map((value) => value ?? 0)))}`).join(", ");
  const at = pointed === undefined ? undefined : times[pointed];
  return (
    <Stack gap={4}>
      <Group justify="space-between" gap="xs" wrap="nowrap">
        <Text size="sm" fw={600} truncate>
          {title}
        </Text>
        <Text size="xs" c="dimmed" style={{ whiteSpace: "nowrap" }}>
          {at === undefined ? "" : at.toLocaleString("en", { weekday: "short", hour: "2-digit", minute: "2-digit" })}
        </Text>
      </Group>
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        role="img"
        aria-label={`${title} in the last 24 hours: ${summary}`}
        className="chart"
        preserveAspectRatio="none"
        onPointerMove={(event) => {
          const { left, width } = event.currentTarget.getBoundingClientRect();
          const index = Math.floor(((event.clientX - left) / width) * times.length);
          setPointed(Math.min(times.length - 1, Math.max(0, index)));
        }}
        onPointerLeave={() => { setPointed(undefined); }}
      >
        {[0.25, 0.5, 0.75].map((share) => (
          <line key={share} x1={0} x2={WIDTH} y1={HEIGHT * share} y2={HEIGHT * share} className="chart-grid" />
        ))}
        {kind === "bars" ? <Bars series={series} count={times.length} top={top} /> : <Lines series={series} count={times.length} top={top} />}
        {pointed !== undefined && <Cursor index={pointed} count={times.length} />}
      </svg>
      <Group gap="md" justify="space-between">
        <Group gap="sm">
          {series.map(({ name, colour, values }) => (
            <Text key={name} size="xs" span>
              <Text span c={`${colour}.6`} aria-hidden>
                ●{" "}
              </Text>
              {name}
              {pointed !== undefined && ` ${values[pointed] === undefined ? "–" : show(values[pointed])}`}
            </Text>
          ))}
        </Group>
        <Text size="xs" c="dimmed">
          0 to {show(top)}
        </Text>
      </Group>
    </Stack>
  );
}

function largestAt(series: Series[], index: number, kind: ChartProps["kind"]): number {
  const values = series.map(({ values }) => values[index] ?? 0);
  return kind === "bars" ? values.reduce((sum, value) => sum + value, 0) : Math.max(...values);
}

interface PlotProps {
  series: Series[];
  count: number;
  top: number;
}

function Lines({ series, count, top }: PlotProps) {
  const x = (index: number) => ((index + 0.5) / count) * WIDTH;
  const y = (value: number) => HEIGHT - 1 - (Math.min(value, top) / top) * (HEIGHT - 2);
  return series.map(({ name, colour, values }) => (
    <path key={name} d={path(values, x, y)} className="chart-line" style={{ stroke: `var(--mantine-color-${colour}-6)` }} />
  ));
}

/** All bars of a colour are one shape. */
function Bars({ series, count, top }: PlotProps) {
  const width = WIDTH / count;
  const below = Array.from({ length: count }, () => 0);
  return series.map(({ name, colour, values }) => {
    const parts = values.map((value, index) => {
      if (value === undefined || value === 0) return "";
      const from = HEIGHT - ((below[index] ?? 0) / top) * HEIGHT;
      below[index] = (below[index] ?? 0) + value;
      const to = HEIGHT - ((below[index] ?? 0) / top) * HEIGHT;
      return `M${(index * width).toFixed(1)} ${from.toFixed(1)}H${((index + 1) * width - width * 0.1).toFixed(1)}V${to.toFixed(1)}H${(index * width).toFixed(1)}Z`;
    });
    return <path key={name} d={parts.join("")} style={{ fill: `var(--mantine-color-${colour}-6)` }} />;
  });
}

function Cursor({ index, count }: { index: number; count: number }) {
  const x = ((index + 0.5) / count) * WIDTH;
  return <line x1={x} x2={x} y1={0} y2={HEIGHT} className="chart-cursor" />;
}
