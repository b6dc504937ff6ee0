import { Alert, Anchor, Button, Group, Paper, SimpleGrid, Stack, Tabs, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconAlertTriangle } from "@tabler/icons-react";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { lazy, Suspense, type ReactNode } from "react";
import { useIsAdmin } from "../../api/queries";
import { categoriesOf, destinationOf, useToggle, useWebhook, type Webhook } from "../../api/webhooks";
import { Page } from "../../parts/page";
import { Failed, Refused, Waiting } from "../../parts/states";
import { Status } from "../../parts/status";
import { Time } from "../../parts/time";
import { DeleteWebhook } from "../webhooks/delete-webhook";
import { Charts } from "./charts";
import { Deliveries } from "./deliveries";

const route = getRouteApi("/signed-in/webhooks/$id");
const Replays = lazy(() => import("./replays"));
const CRUMBS = [{ name: "Settings" }, { name: "Integrations" }, { name: "Webhooks", to: "/webhooks" }];

export function WebhookPage() {
  const { id } = route.useParams();
  const webhook = useWebhook(id);
  if (webhook.isPending) return <Waiting />;
  if (webhook.data === undefined) return <Failed error={webhook.error} again={() => void webhook.refetch()} />;
  return <One webhook={webhook.data} />;
}

function One({ webhook }: { webhook: Webhook }) {
  const { tab = "deliveries" } = route.useSearch();
  const navigate = useNavigate();
  const isAdmin = useIsAdmin();
  return (
    <Page title={webhook.name} crumbs={CRUMBS} actions={isAdmin && <Actions webhook={webhook} />}>
      {webhook.state === "turned_off" && <TurnedOff webhook={webhook} />}
      <Facts webhook={webhook} />
      <Charts id={webhook.id} />
      <Tabs
        value={tab}
        onChange={(chosen) => void navigate({ to: "/webhooks/$id", params: { id: webhook.id }, search: chosen === "replays" ? { tab: chosen } : {} })}
        keepMounted={false}
      >
        <Tabs.List>
          <Tabs.Tab value="deliveries">Deliveries</Tabs.Tab>
          <Tabs.Tab value="replays">Replays</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="deliveries" pt="md">
          <Deliveries id={webhook.id} />
        </Tabs.Panel>
        <Tabs.Panel value="replays" pt="md">
          <Suspense fallback={<Waiting />}>
            <Replays webhook={webhook} isAdmin={isAdmin} />
          </Suspense>
        </Tabs.Panel>
      </Tabs>
    </Page>
  );
}

function Actions({ webhook }: { webhook: Webhook }) {
  const [asking, { open, close }] = useDisclosure();
  const toggle = useToggle(webhook.id);
  return (
    <>
      <Refused error={toggle.error} />
      {webhook.state !== "turned_off" && (
        <Button
          variant={webhook.enabled ? "default" : "filled"}
          color="green"
          loading={toggle.isPending}
          onClick={() => { toggle.mutate(!webhook.enabled); }}
        >
          {webhook.enabled ? "Turn off" : "Turn on"}
        </Button>
      )}
      <Button component={Link} to={`/webhooks/${webhook.id}/edit`} variant="default">
        Edit
      </Button>
      <Button variant="default" c="red" onClick={open}>
        Delete
      </Button>
      <DeleteWebhook webhook={webhook} opened={asking} onClose={close} />
    </>
  );
}

function TurnedOff({ webhook }: { webhook: Webhook }) {
  const { health } = webhook;
  return (
    <Alert color="red" icon={<IconAlertTriangle size={18} />} title="This webhook was turned off because its deliveries failed">
      <Text size="sm">
        {health.failures_in_a_row} deliveries in a row failed, the first <Time at={health.failing_since} none="some time ago" />. Nothing is sent to it
        until somebody has reviewed its log and turned it on again.{" "}
        <Anchor component={Link} to={`/webhooks/${webhook.id}/review`} fw={600} inherit>
          Review logs
        </Anchor>
      </Text>
    </Alert>
  );
}

function Facts({ webhook }: { webhook: Webhook }) {
  const { health } = webhook;
  const rate = health.success_rate_24h;
  return (
    <Paper withBorder p="md">
      <SimpleGrid cols={{ base: 1, xs: 2, md: 4 }}>
        <Fact name="State">
          <Status of={webhook.state} />
        </Fact>
        <Fact name="Destination">
          <Text size="sm" className="break">
            {destinationOf(webhook)}
          </Text>
        </Fact>
        <Fact name="Events">{categoriesOf(webhook)}</Fact>
        <Fact name="Owner">{webhook.owner ? `${webhook.owner.name} (${webhook.owner.email})` : "nobody"}</Fact>
        <Fact name="Last 24 hours">
          {health.delivered_24h.toLocaleString("en")} delivered, {health.failed_24h.toLocaleString("en")} failed
          {rate !== null && rate !== undefined && ` (${(rate * 100).toFixed(rate === 1 ? 0 : 1)} % succeeded)`}
        </Fact>
        <Fact name="Waiting for a retry">{health.waiting_retries.toLocaleString("en")}</Fact>
        <Fact name="Last success">
          <Time at={health.last_success_at} />
        </Fact>
        <Fact name="Last error">
          <Time at={webhook.last_error_at} />
        </Fact>
      </SimpleGrid>
    </Paper>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <Stack gap={2}>
      <Text size="xs" c="dimmed">
        {name}
      </Text>
      <Group gap={4}>
        <Text size="sm" component="div">
          {children}
        </Text>
      </Group>
    </Stack>
  );
}
