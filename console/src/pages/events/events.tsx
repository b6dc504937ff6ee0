import { Anchor, Badge, Group, Select, Table, Text, TextInput } from "@mantine/core";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useEvents } from "../../api/deliveries";
import type { Schemas } from "../../api/client";
import { EVENTS } from "../../api/words";
import { More } from "../../parts/more";
import { Page } from "../../parts/page";
import { Empty, Failed, Waiting } from "../../parts/states";
import { Time } from "../../parts/time";

const route = getRouteApi("/signed-in/events");

const WITHHELD = [
  { value: "no", label: "Sent out" },
  { value: "excluded", label: "Excluded" },
  { value: "agent_too_old", label: "Agent too old" },
];

/** What was accepted, newest first. */
export function Events() {
  const { visitor, account, event, withheld } = route.useSearch();
  const navigate = useNavigate();
  const events = useEvents({ visitor, account, event, withheld });
  const narrow = (change: Record<string, string>) =>
    void navigate({ to: "/events", search: { ...{ visitor, account, event, withheld }, ...change } as Record<string, string>, replace: true });
  return (
    <Page title="Events" crumbs={[{ name: "Data" }]}>
      <Group align="flex-end">
        <TextInput label="Visitor" value={visitor ?? ""} onChange={(change) => { narrow({ visitor: change.currentTarget.value }); }} />
        <TextInput label="Account" value={account ?? ""} onChange={(change) => { narrow({ account: change.currentTarget.value }); }} />
        <Select label="Event" placeholder="any" clearable data={[...EVENTS]} value={event ?? null} onChange={(chosen) => { narrow({ event: chosen ?? "" }); }} w={200} />
        <Select label="Sent or kept back" placeholder="any" clearable data={WITHHELD} value={withheld ?? null} onChange={(chosen) => { narrow({ withheld: chosen ?? "" }); }} w={170} />
      </Group>
      {events.isPending && <Waiting />}
      {events.isError && <Failed error={events.error} again={() => void events.refetch()} />}
      {events.isSuccess && events.rows.length === 0 && (
        <Empty title="No events">
          {visitor ?? account ?? event ?? withheld
            ? "Nothing that is kept is like that."
            : "Nothing was accepted yet. fanfare emit all sends one of each of the eight events."}
        </Empty>
      )}
      {events.rows.length > 0 && <Rows rows={events.rows} />}
      <More list={events} />
    </Page>
  );
}

function Rows({ rows }: { rows: Schemas["Event"][] }) {
  return (
    <Table.ScrollContainer minWidth={640}>
      <Table verticalSpacing={6} highlightOnHover>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Event</Table.Th>
            <Table.Th>Visitor</Table.Th>
            <Table.Th>Account</Table.Th>
            <Table.Th>Accepted</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {rows.map((row) => (
            <Table.Tr key={row.id}>
              <Table.Td>
                <Anchor component={Link} to={`/events/${row.id}`} size="sm">
                  {row.event}
                </Anchor>
                {row.withheld && (
                  <Badge ml="xs" size="xs" color="orange" variant="light" tt="none">
                    {row.withheld.replaceAll("_", " ")}
                  </Badge>
                )}
              </Table.Td>
              <Table.Td className="break">{row.visitor_id}</Table.Td>
              <Table.Td className="break">{row.account_id}</Table.Td>
              <Table.Td>
                <Text size="sm">
                  <Time at={row.accepted_at} />
                </Text>
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}
