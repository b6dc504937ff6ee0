import { Paper, SimpleGrid, Stack, Text } from "@mantine/core";
import { useFigures } from "../../api/figures";
import { Chart } from "../../parts/chart";
import { Failed } from "../../parts/states";
import { type Step, stepsOf } from "../../parts/steps";
import { duration } from "../../parts/time";

const STEP_MIN = 15;

/** How a webhook did in the last 24 hours: how much, how well, how fast, and how long events had to wait. */
export function Charts({ id }: { id: string }) {
  const figures = useFigures(id, STEP_MIN);
  if (figures.isError) return <Failed error={figures.error} again={() => void figures.refetch()} />;
  if (figures.data === undefined || figures.data.data.length === 0) return null;
  const steps = stepsOf(figures.data);
  const times = steps.map(({ at }) => at);
  const values = (of: (step: Step) => number | undefined) => steps.map(({ step }) => step && of(step));
  return (
    <Paper withBorder p="md" component="section" aria-label="The last 24 hours">
      <Stack gap="sm">
        <Text size="xs" c="dimmed">
          The last 24 hours, in steps of {STEP_MIN} minutes
        </Text>
        <SimpleGrid cols={{ base: 1, sm: 2, lg: 4 }} spacing="lg">
          <Chart
            title="Deliveries a minute"
            kind="bars"
            times={times}
            show={(value) => value.toLocaleString("en", { maximumFractionDigits: 2 })}
            series={[
              { name: "delivered", colour: "green", values: values(({ delivered }) => delivered / STEP_MIN) },
              { name: "failed", colour: "red", values: values(({ failed }) => failed / STEP_MIN) },
            ]}
          />
          <Chart
            title="Succeeded"
            kind="lines"
            end={100}
            times={times}
            show={(value) => `${value.toFixed(value === 100 || value === 0 ? 0 : 1)} %`}
            series={[{ name: "of all deliveries", colour: "green", values: values(successOf) }]}
          />
          <Chart
            title="An attempt took"
            kind="lines"
            times={times}
            show={duration}
            series={[
              { name: "p50", colour: "teal", values: values(({ p50_ms }) => p50_ms) },
              { name: "p95", colour: "blue", values: values(({ p95_ms }) => p95_ms) },
              { name: "p99", colour: "grape", values: values(({ p99_ms }) => p99_ms) },
            ]}
          />
          <Chart
            title="Waited in the queue"
            kind="lines"
            times={times}
            show={(value) => `${value.toLocaleString("en")} min`}
            series={[{ name: "the longest", colour: "orange", values: values(({ waited_min }) => waited_min) }]}
          />
        </SimpleGrid>
      </Stack>
    </Paper>
  );
}

/** In percent, where a delivery has ended. */
function successOf({ delivered, failed }: Step): number | undefined {
  const ended = delivered + failed;
  return ended === 0 ? undefined : (delivered / ended) * 100;
}
