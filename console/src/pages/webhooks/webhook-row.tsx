import { ActionIcon, Anchor, Badge, Group, Stack, Switch, Table, Text, Tooltip } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconPencil, IconTrash } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";
import { inWords } from "../../api/client";
import { categoriesOf, destinationOf, useToggle, type Webhook } from "../../api/webhooks";
import { Bar } from "../../parts/bar";
import { Time } from "../../parts/time";
import { DeleteWebhook } from "./delete-webhook";
import { Spark } from "./spark";

export function WebhookRow({ webhook, isAdmin }: { webhook: Webhook; isAdmin: boolean }) {
  return (
    <Table.Tr>
      <Table.Td>
        <Toggle webhook={webhook} isAdmin={isAdmin} />
      </Table.Td>
      <Table.Td maw={360}>
        <Group gap={8}>
          <Link to="/webhooks/$id" params={{ id: webhook.id }} search={{}} className="link">
            <Text fw={600} size="sm" span className="break">
              {webhook.name}
            </Text>
          </Link>
          <Badge size="xs" variant="default" tt="none">
            {webhook.type === "segment" ? "Segment" : "URL"}
          </Badge>
        </Group>
        <Text size="xs" c="dimmed" truncate title={destinationOf(webhook)}>
          {destinationOf(webhook)}
        </Text>
        <Trouble webhook={webhook} />
      </Table.Td>
      <Table.Td maw={220}>
        <Text size="sm">{categoriesOf(webhook)}</Text>
      </Table.Td>
      <Table.Td>
        <Text size="sm">{webhook.owner?.name ?? "nobody"}</Text>
      </Table.Td>
      <Table.Td miw={150}>
        <Day webhook={webhook} />
      </Table.Td>
      <Table.Td>{isAdmin && <Actions webhook={webhook} />}</Table.Td>
    </Table.Tr>
  );
}

/** Green while it sends. What Fanfare has turned off is not left by the toggle, but through its log. */
function Toggle({ webhook, isAdmin }: { webhook: Webhook; isAdmin: boolean }) {
  const toggle = useToggle(webhook.id);
  const isTurnedOff = webhook.state === "turned_off";
  const shown = toggle.isPending ? toggle.variables : webhook.enabled;
  const why = isTurnedOff ? "Turned off after repeated failures: review its log to turn it on" : undefined;
  return (
    <Stack gap={2}>
      <Tooltip label={why} disabled={why === undefined}>
        <Switch
          color="green"
          checked={shown}
          disabled={!isAdmin || isTurnedOff}
          onChange={(event) => { toggle.mutate(event.currentTarget.checked); }}
          aria-label={`${webhook.name} is ${webhook.enabled ? "on" : "off"}`}
        />
      </Tooltip>
      {toggle.isError && (
        <Text size="xs" c="red" role="alert">
          {inWords(toggle.error)}
        </Text>
      )}
    </Stack>
  );
}

/** What is wrong with it, and where to look. */
function Trouble({ webhook }: { webhook: Webhook }) {
  const { health } = webhook;
  const isTurnedOff = webhook.state === "turned_off";
  if (!isTurnedOff && health.failures_in_a_row === 0) return null;
  return (
    <Group gap={6} mt={4}>
      <Text size="xs" c="red" fw={600}>
        {isTurnedOff ? "Turned off: its deliveries failed." : `${health.failures_in_a_row} failed in a row.`}
      </Text>
      <Anchor component={Link} to={`/webhooks/${webhook.id}/review`} size="xs" fw={600}>
        Review logs
      </Anchor>
    </Group>
  );
}

/** How the last day went, at a glance. */
function Day({ webhook: { id, health } }: { webhook: Webhook }) {
  const total = health.delivered_24h + health.failed_24h;
  if (total === 0) {
    return (
      <Text size="xs" c="dimmed">
        Nothing sent. Last success <Time at={health.last_success_at} />
      </Text>
    );
  }
  return (
    <Stack gap={4}>
      <Spark id={id} />
      <Bar
        label={`${health.delivered_24h} delivered, ${health.failed_24h} failed`}
        parts={[
          { name: "delivered", colour: "green", size: health.delivered_24h },
          { name: "failed", colour: "red", size: health.failed_24h },
        ]}
      />
      <Text size="xs" c="dimmed">
        {health.delivered_24h.toLocaleString("en")} delivered
        {health.failed_24h > 0 && `, ${health.failed_24h.toLocaleString("en")} failed`}
        {health.waiting_retries > 0 && `, ${health.waiting_retries.toLocaleString("en")} waiting`}
      </Text>
    </Stack>
  );
}

function Actions({ webhook }: { webhook: Webhook }) {
  const [asking, { open, close }] = useDisclosure();
  return (
    <Group gap={4} wrap="nowrap" justify="flex-end" className="row-actions">
      <ActionIcon component={Link} to={`/webhooks/${webhook.id}/edit`} variant="subtle" aria-label={`Edit ${webhook.name}`}>
        <IconPencil size={16} />
      </ActionIcon>
      <ActionIcon variant="subtle" color="red" onClick={open} aria-label={`Delete ${webhook.name}`}>
        <IconTrash size={16} />
      </ActionIcon>
      <DeleteWebhook webhook={webhook} opened={asking} onClose={close} />
    </Group>
  );
}
