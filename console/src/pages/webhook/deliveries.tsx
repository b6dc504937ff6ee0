import { Alert, Anchor, Button, Group, Select, Stack, Switch, Table, Text } from "@mantine/core";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { base, type Schemas } from "../../api/client";
import { type Delivery, STATES, useDeliveries } from "../../api/deliveries";
import { EVENTS } from "../../api/words";
import { More } from "../../parts/more";
import { Empty, Failed, Waiting } from "../../parts/states";
import { Status } from "../../parts/status";
import { duration, Time } from "../../parts/time";

const route = getRouteApi("/signed-in/webhooks/$id");
const LIVE_MS = 2_000;

/** A webhook's deliveries, newest first, by themselves up to date while nobody reads on. */
export function Deliveries({ id }: { id: string }) {
  const { status, event } = route.useSearch();
  const [live, setLive] = useState(true);
  const navigate = useNavigate();
  const list = useDeliveries(id, { status, event }, live ? LIVE_MS : undefined);
  const ranges = list.data?.pages[0]?.ranges ?? [];
  const narrow = (change: { status?: string | undefined; event?: string | undefined }) =>
    void navigate({ to: "/webhooks/$id", params: { id }, search: { ...present({ status, event, ...change }) }, replace: true });
  const download = new URL(`api/v1/webhooks/${id}/log.json`, base);
  for (const [name, value] of Object.entries(present({ status, event }))) download.searchParams.set(name, value);
  return (
    <Stack gap="md">
      <Group justify="space-between" align="flex-end">
        <Group align="flex-end">
          <Select label="State" placeholder="any" clearable data={[...STATES]} value={status ?? null} onChange={(chosen) => { narrow({ status: chosen ?? undefined }); }} w={150} />
          <Select label="Event" placeholder="any" clearable data={[...EVENTS]} value={event ?? null} onChange={(chosen) => { narrow({ event: chosen ?? undefined }); }} w={200} />
        </Group>
        <Group>
          <Switch label="Live" checked={live} onChange={(change) => { setLive(change.currentTarget.checked); }} />
          <Button component="a" href={download.href} variant="default" size="sm">
            Download JSON
          </Button>
        </Group>
      </Group>
      {ranges.map((range) => (
        <Range key={`${range.first_event_id}-${range.at}`} range={range} />
      ))}
      {list.isPending && <Waiting />}
      {list.isError && <Failed error={list.error} again={() => void list.refetch()} />}
      {list.isSuccess && list.rows.length === 0 && <None isFiltered={status !== undefined || event !== undefined} />}
      {list.rows.length > 0 && <Rows rows={list.rows} />}
      <More list={list} />
    </Stack>
  );
}

/** Without what is not set. */
function present(filter: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(Object.entries(filter).filter((entry): entry is [string, string] => entry[1] !== undefined));
}

function None({ isFiltered }: { isFiltered: boolean }) {
  return isFiltered ? (
    <Empty title="No delivery is like that">Choose another state or event.</Empty>
  ) : (
    <Empty title="Nothing was delivered yet">
      Deliveries appear here the moment they happen. A webhook is sent only events that are accepted while it is on.
    </Empty>
  );
}

function Rows({ rows }: { rows: Delivery[] }) {
  return (
    <Table.ScrollContainer minWidth={720}>
      <Table verticalSpacing={6} highlightOnHover>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>State</Table.Th>
            <Table.Th>Event</Table.Th>
            <Table.Th>Answer</Table.Th>
            <Table.Th>Attempts</Table.Th>
            <Table.Th>Took</Table.Th>
            <Table.Th>When</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {rows.map((row) => (
            <Row key={row.id} row={row} />
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function Row({ row }: { row: Delivery }) {
  return (
    <Table.Tr>
      <Table.Td>
        <Status of={row.status} />
      </Table.Td>
      <Table.Td>
        <Anchor component={Link} to={`/deliveries/${row.id}`} size="sm">
          {row.event}
        </Anchor>
        {row.redelivery && (
          <Text size="xs" c="dimmed" span>
            {" "}
            sent again
          </Text>
        )}
        {row.replay_id !== null && row.replay_id !== undefined && (
          <Text size="xs" c="dimmed" span>
            {" "}
            replay
          </Text>
        )}
      </Table.Td>
      <Table.Td maw={320}>
        <Text size="sm">{row.response_status ?? "no answer"}</Text>
        {row.status !== "delivered" && (
          <Text size="xs" c="dimmed" truncate title={row.sentence ?? ""}>
            {row.sentence}
          </Text>
        )}
      </Table.Td>
      <Table.Td>{row.attempt_count}</Table.Td>
      <Table.Td>{row.total_ms === null || row.total_ms === undefined ? "" : duration(row.total_ms)}</Table.Td>
      <Table.Td>
        <Time at={row.last_attempt_at ?? row.created_at} />
        {row.next_attempt_at && (
          <Text size="xs" c="dimmed">
            next <Time at={row.next_attempt_at} />
          </Text>
        )}
      </Table.Td>
    </Table.Tr>
  );
}

/** Events that ended together without an attempt. */
function Range({ range }: { range: Schemas["Range"] }) {
  const events = range.events === null || range.events === undefined ? "Some events" : `${range.events.toLocaleString("en")} events`;
  const why = range.status === "expired" ? "fell out of the backlog and were not sent" : "were cancelled when the webhook went off";
  return (
    <Alert color={range.status === "expired" ? "orange" : "gray"} py="xs">
      <Text size="sm">
        {events}
        {range.retries > 0 && ` and ${range.retries.toLocaleString("en")} waiting retries`} {why}, <Time at={range.at} />.
      </Text>
    </Alert>
  );
}
