import { useIntersection } from "@mantine/hooks";
import { useFigures } from "../../api/figures";
import { stepsOf } from "../../parts/steps";

const STEP_MIN = 30;
const [WIDTH, HEIGHT] = [140, 22];

/** Deliveries of the last 24 hours, half an hour a bar. It is read when its row comes into sight. */
export function Spark({ id }: { id: string }) {
  const { ref, entry } = useIntersection<HTMLDivElement>();
  const figures = useFigures(id, STEP_MIN, entry?.isIntersecting === true);
  const steps = figures.data === undefined ? [] : stepsOf(figures.data).map(({ step }) => step);
  const top = Math.max(1, ...steps.map((step) => (step?.delivered ?? 0) + (step?.failed ?? 0)));
  const width = WIDTH / Math.max(1, steps.length);
  // The numbers stand beside it in words.
  return (
    <div ref={ref} className="spark">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} width={WIDTH} height={HEIGHT} preserveAspectRatio="none" aria-hidden>
        {steps.map((step, index) => {
          if (step === undefined) return null;
          const [failed, all] = [(step.failed / top) * HEIGHT, ((step.delivered + step.failed) / top) * HEIGHT];
          return (
            <g key={step.at}>
              <rect x={index * width} width={width * 0.85} y={HEIGHT - all} height={all} fill="var(--mantine-color-green-6)" />
              <rect x={index * width} width={width * 0.85} y={HEIGHT - failed} height={failed} fill="var(--mantine-color-red-6)" />
            </g>
          );
        })}
      </svg>
    </div>
  );
}
