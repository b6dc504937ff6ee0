import { Alert, Anchor, Button, Group, Select, Stack, Switch, Text } from "@mantine/core";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useCallback, useState } from "react";
import type { Schemas } from "../../api/client";
import { STATES, useDeliveries } from "../../api/deliveries";
import { downloadUrl } from "../../api/download";
import { useLiveDeliveries } from "../../api/live";
import { EVENTS } from "../../api/words";
import { Empty, Failed, Waiting } from "../../parts/states";
import { Time } from "../../parts/time";
import { DeliveryRows } from "./delivery-rows";

const route = getRouteApi("/signed-in/webhooks/$id");

/** Where the stream of deliveries is refused, their pages are read again so often; beside it, what only pages tell. */
const POLL_MS = 2_000;
const POLL_BESIDE_MS = 15_000;

/** A webhook's deliveries, newest first: the newest as they happen, or all of them, to be read on. */
export function Deliveries({ id }: { id: string }) {
  const { status, event } = route.useSearch();
  const [live, setLive] = useState(true);
  const navigate = useNavigate();
  const stream = useLiveDeliveries(id, { status, event }, live);
  const list = useDeliveries(id, { status, event }, live ? (stream.isOpen ? POLL_BESIDE_MS : POLL_MS) : undefined);
  const rows = stream.isOpen ? stream.rows : list.rows;
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = list;
  const readOn = useCallback(() => {
    if (!live && hasNextPage && !isFetchingNextPage) void fetchNextPage();
  }, [live, hasNextPage, isFetchingNextPage, fetchNextPage]);
  const chooseLive = (chosen: boolean) => {
    setLive(chosen);
    // What went by meanwhile is in no page yet.
    if (!chosen) void list.refetch();
  };
  const isWaiting = !stream.isOpen && (list.isPending || (list.isFetching && rows.length === 0));
  const ranges = list.data?.pages[0]?.ranges ?? [];
  const narrow = (change: { status?: string | undefined; event?: string | undefined }) =>
    void navigate({ to: "/webhooks/$id", params: { id }, search: { ...present({ status, event, ...change }) }, replace: true });
  return (
    <Stack gap="md">
      <Group justify="space-between" align="flex-end">
        <Group align="flex-end">
          <Select label="State" placeholder="any" clearable data={[...STATES]} value={status ?? null} onChange={(chosen) => { narrow({ status: chosen ?? undefined }); }} w={150} />
          <Select label="Event" placeholder="any" clearable data={[...EVENTS]} value={event ?? null} onChange={(chosen) => { narrow({ event: chosen ?? undefined }); }} w={200} />
        </Group>
        <Group>
          <Switch label="Live" checked={live} onChange={(change) => { chooseLive(change.currentTarget.checked); }} />
          <Button component="a" href={downloadUrl(`api/v1/webhooks/${id}/log.json`, { status, event })} variant="default" size="sm">
            Download JSON
          </Button>
        </Group>
      </Group>
      {ranges.map((range) => (
        <Range key={`${range.first_event_id}-${range.at}`} range={range} />
      ))}
      {isWaiting && <Waiting />}
      {list.isError && <Failed error={list.error} again={() => void list.refetch()} />}
      {!isWaiting && !list.isError && rows.length === 0 && <None isFiltered={status !== undefined || event !== undefined} />}
      {stream.skipped > 0 && (
        <Text size="sm" c="dimmed" role="status">
          {stream.skipped.toLocaleString("en")} more went by too fast to be shown. Turn off Live to read all of them.
        </Text>
      )}
      {rows.length > 0 && <DeliveryRows key={String(live)} rows={rows} onEnd={readOn} />}
      {live && hasNextPage && (
        <Anchor component="button" type="button" size="sm" onClick={() => { chooseLive(false); }}>
          Turn off Live to read on
        </Anchor>
      )}
      {isFetchingNextPage && <Waiting />}
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
