import { Accordion, Group, Stack, Text } from "@mantine/core";
import type { Schemas } from "../../api/client";
import { Code } from "../../parts/code";
import { Copy } from "../../parts/copy";
import { Headers } from "../../parts/headers";
import { Time } from "../../parts/time";
import { eventOf } from "./event-of";

type Arrival = Schemas["InspectedRequest"];

/** The requests that have arrived, each to be opened. */
export function Arrivals({ requests, opened }: { requests: Arrival[]; opened?: number }) {
  return (
    <Accordion variant="separated" {...(opened === undefined ? {} : { defaultValue: String(opened) })}>
      {requests.map((request) => (
        <Accordion.Item key={request.number} value={String(request.number)}>
          <Accordion.Control>
            <Group justify="space-between" pr="md" gap="xs">
              <Text size="sm" fw={600} className="break">
                {eventOf(request.body) ?? `${request.method} without an event`}
              </Text>
              <Text size="xs" c="dimmed">
                #{request.number} · <Time at={request.at} />
              </Text>
            </Group>
          </Accordion.Control>
          <Accordion.Panel>
            <Sheet request={request} />
          </Accordion.Panel>
        </Accordion.Item>
      ))}
    </Accordion>
  );
}

function Sheet({ request }: { request: Arrival }) {
  const shown = new TextEncoder().encode(request.body).length;
  return (
    <Stack gap="sm">
      {request.query !== "" && (
        <Text size="xs" c="dimmed">
          {request.method} with {request.query}
        </Text>
      )}
      <Headers headers={request.headers} />
      <Code text={request.body} label="Request body" />
      {request.body_bytes > shown && (
        <Text size="xs" c="dimmed">
          The first {shown.toLocaleString("en")} of {request.body_bytes.toLocaleString("en")} bytes.
        </Text>
      )}
      <Group>
        <Copy text={request.body} label="Copy the body" />
      </Group>
    </Stack>
  );
}
