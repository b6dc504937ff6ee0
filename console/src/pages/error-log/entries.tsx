import { Accordion, Anchor, Badge, Group, Stack, Text } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import type { Schemas } from "../../api/client";
import { Code } from "../../parts/code";
import { Copy } from "../../parts/copy";
import { Headers } from "../../parts/headers";
import { Time } from "../../parts/time";
import { Timings } from "../../parts/timings";
import { NoticeBody, NoticeHead } from "./notice";

type Entry = Schemas["ErrorLogEntry"];
type Attempt = Extract<Entry, { kind: "delivery" }>;

function keyOf(entry: Entry): string {
  return entry.kind === "delivery" ? `${entry.delivery_id}-${entry.attempt}` : `${entry.webhook_id}-${entry.kind}-${entry.at}`;
}

/** Failed attempts and what was done about failing webhooks, each with all that is needed to act on it. */
export function ErrorEntries({ entries }: { entries: Entry[] }) {
  if (entries.length === 0) return null;
  return (
    <Accordion variant="separated" multiple>
      {entries.map((entry) => {
        const key = keyOf(entry);
        return (
          <Accordion.Item key={key} value={key}>
            <Accordion.Control>
              {entry.kind === "delivery" ? (
                <Head entry={entry} />
              ) : (
                <NoticeHead notice={entry} what={entry.kind === "turned_off" ? "turned off" : "warned"} />
              )}
            </Accordion.Control>
            <Accordion.Panel>
              {entry.kind === "delivery" ? <Body entry={entry} /> : <NoticeBody notice={entry} />}
            </Accordion.Panel>
          </Accordion.Item>
        );
      })}
    </Accordion>
  );
}

function Head({ entry }: { entry: Attempt }) {
  return (
    <Group gap="sm" wrap="wrap">
      <Badge variant="light" color="red" radius="sm" tt="none" miw={76}>
        {entry.status ?? "no answer"}
      </Badge>
      <Text size="sm" fw={600}>
        {entry.webhook_name ?? "a deleted webhook"}
      </Text>
      <Text size="sm">{entry.event}</Text>
      <Text size="sm" c="dimmed">
        {entry.sentence}
      </Text>
      <Text size="xs" c="dimmed" component="span">
        {new Date(entry.started_at).toLocaleString("en")}
      </Text>
    </Group>
  );
}

function Body({ entry }: { entry: Attempt }) {
  return (
    <Stack gap="sm">
      {entry.detail !== "" && (
        <Text size="sm" className="break">
          {entry.detail}
        </Text>
      )}
      <Group gap="lg">
        <Text size="sm">Attempt {entry.attempt}</Text>
        <Text size="sm">
          Next attempt: <Time at={entry.next_attempt_at} none="none" />
        </Text>
        <Anchor component={Link} to={`/deliveries/${entry.delivery_id}`} size="sm">
          The whole delivery
        </Anchor>
        <Copy text={JSON.stringify(entry, null, 2)} label="Copy entry" />
      </Group>
      <Timings timings={entry.timings} />
      <Text size="sm" fw={600}>
        Request
      </Text>
      <Headers headers={entry.request_headers} />
      <Text size="sm" fw={600}>
        Response
      </Text>
      <Headers headers={entry.response.headers} />
      <Code text={entry.response.body} label="Response body" />
    </Stack>
  );
}
