import { Alert, Button, Group, List, Stack, Text } from "@mantine/core";
import { IconCircleCheck } from "@tabler/icons-react";
import { useMutation, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useDeliveries } from "../../api/deliveries";
import { api, ask } from "../../api/client";
import { useInspector } from "../../api/inspector";
import { useSession } from "../../api/queries";
import { LISTS } from "../../api/settings";
import { Failed, Refused } from "../../parts/states";
import { Status } from "../../parts/status";
import { DemoGuide } from "../guides/demo";
import { Arrivals } from "../inspector/arrivals";
import { eventOf } from "../inspector/event-of";
import type { Plan } from "./plan";
import { sendEvent } from "./send-event";

/** The last step: an event goes in as a page's would, and comes out at the receiver. */
export function Arrive({ plan, webhook }: { plan: Plan; webhook: string }) {
  const visitor = useSession().data?.user.email ?? "";
  const apps = useQuery({ queryKey: LISTS.apps, queryFn: () => ask(api.GET("/api/v1/apps")) });
  const key = apps.data?.data[0]?.agent_key;
  const send = useMutation({ mutationFn: (agentKey: string) => sendEvent(agentKey, visitor) });
  const deliveries = useDeliveries(webhook, {}, 1_500);
  const delivery = deliveries.rows.find((row) => row.event === "trackEventReceived");
  return (
    <Stack gap="md" pt="md">
      <Text size="sm">
        Send a track event, “Hello, Fanfare”, as the browser agent of your app would. It is accepted, written to disk, and pushed to your
        receiver.
      </Text>
      {apps.isError && <Failed error={apps.error} again={() => void apps.refetch()} />}
      <Group>
        <Button loading={send.isPending} disabled={key === undefined} onClick={() => { if (key !== undefined) send.mutate(key); }}>
          {send.isSuccess ? "Send another" : "Send the event"}
        </Button>
      </Group>
      <Refused error={send.error} />
      <div aria-live="polite">
        {send.isSuccess && delivery === undefined && (
          <Text size="sm" c="dimmed">
            Accepted. On its way…
          </Text>
        )}
        {delivery?.status === "delivered" && (
          <Alert color="green" icon={<IconCircleCheck size={18} />} title="It has arrived">
            Your receiver accepted it. <Link className="link" to="/deliveries/$id" params={{ id: delivery.id }}>See both sides</Link>: what was
            sent, and what was answered.
          </Alert>
        )}
        {delivery !== undefined && delivery.status !== "delivered" && (
          <Alert color="yellow" title={<Group gap="xs">Not yet accepted <Status of={delivery.status} /></Group>}>
            Your receiver has not accepted it.{" "}
            <Link className="link" to="/deliveries/$id" params={{ id: delivery.id }}>
              See what it answered
            </Link>
            , and when it is tried again.
          </Alert>
        )}
      </div>
      {plan.receiver === "inspector" && <Inspected />}
      {plan.receiver === "listen" && delivery?.status === "delivered" && <Text size="sm">Your terminal shows it.</Text>}
      {delivery?.status === "delivered" && <Next webhook={webhook} />}
    </Stack>
  );
}

/** The event as the inspector has received it. Others may have come with it: a visitor was seen for the first time. */
function Inspected() {
  const { data } = useInspector();
  const newest = data?.requests.find(({ body }) => eventOf(body) === "trackEventReceived");
  if (newest === undefined) return null;
  return <Arrivals key={newest.number} requests={[newest]} opened={newest.number} />;
}

function Next({ webhook }: { webhook: string }) {
  return (
    <Stack gap={4}>
      <Text size="sm" fw={600}>
        What comes next
      </Text>
      <List size="sm">
        <List.Item>
          <Link className="link" to="/apps">
            Put the agent into your product
          </Link>
          , so that real events come in.
        </List.Item>
        <List.Item>
          <Link className="link" to="/webhooks/$id" params={{ id: webhook }}>
            Watch your webhook
          </Link>
          : its deliveries as they happen, its logs and its charts.
        </List.Item>
        <List.Item>
          <Link className="link" to="/webhooks/$id/edit" params={{ id: webhook }}>
            Choose what it is told of
          </Link>
          , or send it elsewhere.
        </List.Item>
      </List>
      <DemoGuide />
    </Stack>
  );
}
