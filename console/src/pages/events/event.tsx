import { Anchor, SimpleGrid, Stack, Table, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { api, ask, type Schemas } from "../../api/client";
import { Code } from "../../parts/code";
import { Page } from "../../parts/page";
import { Empty, Failed, Waiting } from "../../parts/states";
import { Status } from "../../parts/status";

const route = getRouteApi("/signed-in/events/$id");

/** One event: its body, and for each webhook why it was told of it or was not. */
export function EventPage() {
  const { id } = route.useParams();
  const path = { path: { id } };
  const event = useQuery({ queryKey: ["event", id], queryFn: () => ask(api.GET("/api/v1/events/{id}", { params: path })) });
  const why = useQuery({
    queryKey: ["explain", id],
    queryFn: () => ask(api.GET("/api/v1/events/{id}/explain", { params: { ...path, query: { limit: 500 } } })),
    refetchInterval: 5_000,
  });
  if (event.isPending) return <Waiting />;
  if (event.data === undefined) return <Failed error={event.error} again={() => void event.refetch()} />;
  return (
    <Page title={event.data.event} crumbs={[{ name: "Data" }, { name: "Events", to: "/events" }]}>
      <Text size="sm">
        Visitor <b>{event.data.visitor_id}</b>, account <b>{event.data.account_id || "none"}</b>, uniqueId <code>{event.data.unique_id}</code>
      </Text>
      <SimpleGrid cols={{ base: 1, lg: 2 }} spacing="lg">
        <Stack gap="xs">
          <Title order={2} size="h4">
            Its body
          </Title>
          <Code text={event.data.body} label="Body" />
        </Stack>
        <Stack gap="xs">
          <Title order={2} size="h4">
            Who was told of it
          </Title>
          {why.isError && <Failed error={why.error} again={() => void why.refetch()} />}
          {why.data?.data.length === 0 && <Empty title="There are no webhooks">Nobody could be told of it.</Empty>}
          {why.data !== undefined && why.data.data.length > 0 && <Reasons reasons={why.data.data} />}
        </Stack>
      </SimpleGrid>
    </Page>
  );
}

function Reasons({ reasons }: { reasons: Schemas["EventReason"][] }) {
  return (
    <Table verticalSpacing="xs">
      <Table.Tbody>
        {reasons.map((reason) => (
          <Table.Tr key={reason.webhook_id}>
            <Table.Td>
              <Anchor component={Link} to={`/webhooks/${reason.webhook_id}`} size="sm">
                {reason.webhook_name}
              </Anchor>
            </Table.Td>
            <Table.Td>
              <Text size="sm">{reason.sentence}</Text>
            </Table.Td>
            <Table.Td>
              {reason.delivery && (
                <Anchor component={Link} to={`/deliveries/${reason.delivery.id}`}>
                  <Status of={reason.delivery.status} />
                </Anchor>
              )}
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}
