import { Alert, Button, Group, Paper, Select, Stack, Switch, Table, Text, TextInput, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, ask, fieldProblem, type Schemas } from "../../api/client";
import { useChange, useList } from "../../api/queries";
import type { Webhook } from "../../api/webhooks";
import { EVENTS } from "../../api/words";
import { Bar } from "../../parts/bar";
import { More } from "../../parts/more";
import { Empty, Failed, Refused, Waiting } from "../../parts/states";
import { Time } from "../../parts/time";

const CHOICES = [
  { value: "missed", label: "What it has missed while it was off" },
  { value: "failed", label: "Everything that failed" },
  { value: "all", label: "Everything of a time" },
];

/** Replays of a webhook, and the form that asks for one. */
export default function Replays({ webhook, isAdmin }: { webhook: Webhook; isAdmin: boolean }) {
  const { id } = webhook;
  const list = useList(
    ["replays", id],
    (cursor) => ask(api.GET("/api/v1/webhooks/{id}/replays", { params: { path: { id }, query: cursor ? { cursor } : {} } })),
    2_000,
  );
  return (
    <Stack gap="lg">
      {isAdmin && <AskForReplay webhook={webhook} />}
      {list.isPending && <Waiting />}
      {list.isError && <Failed error={list.error} again={() => void list.refetch()} />}
      {list.isSuccess && list.rows.length === 0 && (
        <Empty title="Nothing was replayed yet">A replay sends events once more, in their order, beside the live ones.</Empty>
      )}
      {list.rows.length > 0 && <Rows id={id} rows={list.rows} isAdmin={isAdmin} />}
      <More list={list} />
    </Stack>
  );
}

function AskForReplay({ webhook }: { webhook: Webhook }) {
  const { id } = webhook;
  const [status, setStatus] = useState("missed");
  const [event, setEvent] = useState<string | null>(null);
  const [from, setFrom] = useState("");
  const [to, setTo] = useState("");
  const [force, setForce] = useState(false);
  const missed = useQuery({
    queryKey: ["missed", id, webhook.state],
    queryFn: () => ask(api.GET("/api/v1/webhooks/{id}/missed", { params: { path: { id } } })),
  });
  const replay = useChange(
    (body: Schemas["ReplayInput"]) => ask(api.POST("/api/v1/webhooks/{id}/replays", { params: { path: { id } }, body })),
    ["replays", id],
  );
  const input: Schemas["ReplayInput"] = {
    ...(status === "all" ? {} : { status }),
    ...(event === null ? {} : { event }),
    ...(from === "" ? {} : { from: new Date(from).toISOString() }),
    ...(to === "" ? {} : { to: new Date(to).toISOString() }),
    ...(force ? { force } : {}),
  };
  return (
    <Paper withBorder p="lg" component="section" aria-labelledby="replay">
      <form
        onSubmit={(submit) => {
          submit.preventDefault();
          replay.mutate(input);
        }}
      >
        <Stack gap="md">
          <Title order={2} size="h4" id="replay">
            Send events again
          </Title>
          <Missed missed={missed.data} />
          <Group align="flex-end">
            <Select label="Which" data={CHOICES} value={status} onChange={(chosen) => { setStatus(chosen ?? "missed"); }} allowDeselect={false} w={290} />
            <Select label="Event" placeholder="any" clearable data={[...EVENTS]} value={event} onChange={setEvent} w={200} />
            <TextInput
              label="From"
              type="datetime-local"
              required={status === "all"}
              value={from}
              onChange={(change) => { setFrom(change.currentTarget.value); }}
              error={fieldProblem(replay.error, "from")}
            />
            <TextInput label="To" type="datetime-local" value={to} onChange={(change) => { setTo(change.currentTarget.value); }} error={fieldProblem(replay.error, "to")} />
          </Group>
          {!webhook.enabled && (
            <Switch
              label="Send although the webhook is off"
              description="Only the replay is sent; live events are not."
              checked={force}
              onChange={(change) => { setForce(change.currentTarget.checked); }}
            />
          )}
          <Refused error={replay.error} />
          <Group>
            <Button type="submit" loading={replay.isPending}>
              Send again
            </Button>
            <Text size="sm" c="dimmed">
              Same bytes, same uniqueId, in the order of acceptance. It counts neither for nor against the webhook.
            </Text>
          </Group>
        </Stack>
      </form>
    </Paper>
  );
}

function Missed({ missed }: { missed: Schemas["Missed"] | undefined }) {
  if (missed === undefined || missed.events === 0) return null;
  return (
    <Alert color="violet">
      It has missed {missed.complete ? "" : "at least "}
      {missed.events.toLocaleString("en")} events since it went off, <Time at={missed.since} none="some time ago" />.
    </Alert>
  );
}

function Rows({ id, rows, isAdmin }: { id: string; rows: Schemas["Replay"][]; isAdmin: boolean }) {
  return (
    <Table.ScrollContainer minWidth={720}>
      <Table verticalSpacing="sm">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Asked for</Table.Th>
            <Table.Th>Which</Table.Th>
            <Table.Th>Progress</Table.Th>
            <Table.Th>Sent</Table.Th>
            <Table.Th />
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {rows.map((row) => (
            <Row key={row.id} id={id} row={row} isAdmin={isAdmin} />
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function Row({ id, row, isAdmin }: { id: string; row: Schemas["Replay"]; isAdmin: boolean }) {
  const cancel = useChange(
    () => ask(api.DELETE("/api/v1/webhooks/{id}/replays/{replay}", { params: { path: { id, replay: row.id } } })),
    ["replays", id],
  );
  const isRunning = row.ended_at === null || row.ended_at === undefined;
  return (
    <Table.Tr>
      <Table.Td>
        <Time at={row.created_at} />
      </Table.Td>
      <Table.Td>
        {row.status}
        {row.event && `, ${row.event}`}
      </Table.Td>
      <Table.Td miw={180}>
        <Stack gap={4}>
          <Bar
            label={`${Math.round(row.progress * 100)} % done`}
            parts={[
              { name: "done", colour: isRunning ? "violet" : "green", size: row.progress },
              { name: "open", colour: "gray", size: 1 - row.progress },
            ]}
          />
          <Text size="xs" c="dimmed">
            {row.state.replaceAll("_", " ")}
          </Text>
        </Stack>
      </Table.Td>
      <Table.Td>
        <Text size="sm">
          {row.sent.toLocaleString("en")} sent, {row.delivered.toLocaleString("en")} delivered, {row.failed.toLocaleString("en")} failed
        </Text>
      </Table.Td>
      <Table.Td>
        {isAdmin && isRunning && (
          <Button size="xs" variant="default" loading={cancel.isPending} onClick={() => { cancel.mutate(); }}>
            Cancel
          </Button>
        )}
      </Table.Td>
    </Table.Tr>
  );
}
