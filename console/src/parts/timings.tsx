import { Group, Stack, Text } from "@mantine/core";
import type { Schemas } from "../api/client";
import { Bar } from "./bar";
import { duration } from "./time";

/** The parts of an attempt; each lasts from the end of the one before it. */
export function partsOf(timings: Schemas["Timings"]): { name: string; colour: string; ms: number }[] {
  const answered = timings.first_byte_ms !== null && timings.first_byte_ms !== undefined;
  const ends = [
    { name: "DNS", colour: "grape", end: timings.dns_ms },
    { name: "Connect", colour: "blue", end: timings.connect_ms },
    { name: "TLS", colour: "teal", end: timings.tls_ms },
    { name: "Waiting", colour: "yellow", end: timings.first_byte_ms },
    { name: answered ? "Reading" : "No answer", colour: answered ? "green" : "red", end: timings.total_ms },
  ];
  let before = 0;
  const parts = [];
  for (const { name, colour, end } of ends) {
    if (end === null || end === undefined) continue;
    parts.push({ name, colour, ms: Math.max(0, end - before) });
    before = end;
  }
  return parts;
}

/** Where an attempt's time went. */
export function Timings({ timings }: { timings: Schemas["Timings"] }) {
  const parts = partsOf(timings);
  return (
    <Stack gap={4}>
      <Bar parts={parts.map(({ name, colour, ms }) => ({ name, colour, size: ms }))} label={`${duration(timings.total_ms)} in all`} />
      <Group gap="md">
        {parts.map(({ name, colour, ms }) => (
          <Group key={name} gap={4} wrap="nowrap">
            <Text span c={`${colour}.6`} aria-hidden>
              ●
            </Text>
            <Text size="xs">
              {name} {duration(ms)}
            </Text>
          </Group>
        ))}
        <Text size="xs" fw={600}>
          {duration(timings.total_ms)} in all
        </Text>
      </Group>
    </Stack>
  );
}
