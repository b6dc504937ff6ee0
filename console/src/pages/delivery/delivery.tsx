import { Badge, Button, Group, Paper, SimpleGrid, Stack, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { api, ask, type Schemas } from "../../api/client";
import { useDelivery, useRedeliver } from "../../api/deliveries";
import { useIsAdmin } from "../../api/queries";
import { destinationOf, useWebhook } from "../../api/webhooks";
import { Code } from "../../parts/code";
import { Copy } from "../../parts/copy";
import { Headers } from "../../parts/headers";
import { Page } from "../../parts/page";
import { Failed, Refused, Waiting } from "../../parts/states";
import { Status } from "../../parts/status";
import { Time } from "../../parts/time";
import { Timings } from "../../parts/timings";
import { asCurl } from "./curl";

const route = getRouteApi("/signed-in/deliveries/$id");

export function DeliveryPage() {
  const { id } = route.useParams();
  const delivery = useDelivery(id);
  if (delivery.isPending) return <Waiting />;
  if (delivery.data === undefined) return <Failed error={delivery.error} again={() => void delivery.refetch()} />;
  return <One delivery={delivery.data} />;
}

function One({ delivery }: { delivery: Schemas["DeliveryDetail"] }) {
  const webhook = useWebhook(delivery.webhook_id);
  const name = webhook.data?.name ?? "a webhook that was deleted";
  const crumbs = [{ name: "Webhooks", to: "/webhooks" }, { name, to: `/webhooks/${delivery.webhook_id}` }];
  return (
    <Page title={delivery.event} crumbs={crumbs} actions={<Actions delivery={delivery} url={webhook.data && destinationOf(webhook.data)} />}>
      <Group>
        <Status of={delivery.status} />
        <Text size="sm">
          uniqueId <code>{delivery.unique_id}</code>
        </Text>
        {delivery.next_attempt_at && (
          <Text size="sm">
            Next attempt <Time at={delivery.next_attempt_at} />
          </Text>
        )}
      </Group>
      <SimpleGrid cols={{ base: 1, lg: 2 }} spacing="lg">
        <Stack gap="xs">
          <Title order={2} size="h4">
            What is sent
          </Title>
          {delivery.request_body === null || delivery.request_body === undefined ? (
            <Text size="sm" c="dimmed">
              The event is no longer kept.
            </Text>
          ) : (
            <Code text={delivery.request_body} label="Request body" />
          )}
        </Stack>
        <Stack gap="md">
          <Title order={2} size="h4">
            Attempts
          </Title>
          {delivery.attempts.length === 0 && (
            <Text size="sm" c="dimmed">
              None was made.
            </Text>
          )}
          {[...delivery.attempts].reverse().map((attempt) => (
            <Attempt key={attempt.attempt} attempt={attempt} />
          ))}
        </Stack>
      </SimpleGrid>
    </Page>
  );
}

function Actions({ delivery, url }: { delivery: Schemas["DeliveryDetail"]; url: string | undefined }) {
  const navigate = useNavigate();
  const isAdmin = useIsAdmin();
  const redeliver = useRedeliver(delivery.id);
  const { id, attempts, request_body: body } = delivery;
  const text = useQuery({
    queryKey: ["delivery-text", id, delivery.attempt_count],
    queryFn: () => ask(api.GET("/api/v1/deliveries/{id}/text", { params: { path: { id } }, parseAs: "text" })),
  });
  const last = attempts.at(-1);
  return (
    <>
      <Refused error={redeliver.error} />
      {typeof text.data === "string" && <Copy text={text.data} label="Copy as text" />}
      {url !== undefined && last !== undefined && typeof body === "string" && <Copy text={asCurl(url, last.request_headers, body)} label="Copy as curl" />}
      {isAdmin && (
        <Button
          size="xs"
          loading={redeliver.isPending}
          onClick={() => {
            redeliver.mutate(undefined, {
              onSuccess: (made) => void navigate({ to: "/deliveries/$id", params: { id: made.id } }),
            });
          }}
        >
          Send again
        </Button>
      )}
    </>
  );
}

function Attempt({ attempt }: { attempt: Schemas["Attempt"] }) {
  const isGood = attempt.reason === "accepted";
  return (
    <Paper withBorder p="md">
      <Stack gap="sm">
        <Group justify="space-between">
          <Group gap="xs">
            <Text fw={600} size="sm">
              Attempt {attempt.attempt}
            </Text>
            <Badge variant="light" color={isGood ? "green" : "red"} radius="sm" tt="none">
              {attempt.status ?? "no answer"}
            </Badge>
          </Group>
          <Text size="sm" c="dimmed">
            <Time at={attempt.started_at} />
          </Text>
        </Group>
        <Text size="sm">{attempt.sentence}</Text>
        {attempt.detail !== "" && (
          <Text size="sm" c="dimmed" className="break">
            {attempt.detail}
          </Text>
        )}
        <Timings timings={attempt.timings} />
        <details>
          <summary>Request headers</summary>
          <Headers headers={attempt.request_headers} />
        </details>
        <details open={!isGood}>
          <summary>Response</summary>
          <Headers headers={attempt.response.headers} />
          <Code text={attempt.response.body} label="Response body" />
          {attempt.response.body_cut && (
            <Text size="xs" c="dimmed">
              Only the beginning was kept.
            </Text>
          )}
        </details>
      </Stack>
    </Paper>
  );
}
