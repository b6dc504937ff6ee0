import { Button, Table, Tabs, Text, TextInput } from "@mantine/core";
import { IconPlus, IconSearch } from "@tabler/icons-react";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { destinationOf, useWebhooks, type Webhook } from "../../api/webhooks";
import { useIsAdmin } from "../../api/queries";
import { Page } from "../../parts/page";
import { Empty, Failed, Waiting } from "../../parts/states";
import { WebhookRow } from "./webhook-row";

const route = getRouteApi("/signed-in/webhooks");

/** All webhooks, active and inactive. */
export function Webhooks() {
  const { search = "" } = route.useSearch();
  const navigate = useNavigate();
  const webhooks = useWebhooks();
  const isAdmin = useIsAdmin();
  const add = isAdmin && (
    <Button component={Link} to="/webhooks/new" leftSection={<IconPlus size={16} />}>
      Add Webhook
    </Button>
  );
  return (
    <Page title="Integrations" crumbs={[{ name: "Settings" }]} actions={add}>
      <Tabs value="webhooks">
        <Tabs.List>
          <Tabs.Tab value="webhooks">Webhooks</Tabs.Tab>
        </Tabs.List>
      </Tabs>
      {webhooks.isPending && <Waiting />}
      {webhooks.isError && <Failed error={webhooks.error} again={() => void webhooks.refetch()} />}
      {webhooks.data?.length === 0 && <NoWebhooks isAdmin={isAdmin} />}
      {webhooks.data !== undefined && webhooks.data.length > 0 && (
        <>
          <TextInput
            aria-label="Search webhooks"
            placeholder="Search by name, destination or owner"
            leftSection={<IconSearch size={16} />}
            maw={420}
            value={search}
            onChange={(event) => void navigate({ to: "/webhooks", search: { search: event.currentTarget.value }, replace: true })}
          />
          <List webhooks={webhooks.data.filter((webhook) => isFound(webhook, search))} isAdmin={isAdmin} />
        </>
      )}
    </Page>
  );
}

/** Whether every word of a search stands somewhere in what is shown of a webhook. */
export function isFound(webhook: Webhook, search: string): boolean {
  const { name, owner, type, state } = webhook;
  const shown = [name, type, state, destinationOf(webhook), owner?.name, owner?.email].join(" ").toLowerCase();
  return search.toLowerCase().split(/\s+/).every((word) => shown.includes(word));
}

function List({ webhooks, isAdmin }: { webhooks: Webhook[]; isAdmin: boolean }) {
  if (webhooks.length === 0) return <Empty title="No webhook is like that">Search for something else.</Empty>;
  return (
    <Table.ScrollContainer minWidth={760}>
      <Table verticalSpacing="sm" highlightOnHover>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>On</Table.Th>
            <Table.Th>Webhook</Table.Th>
            <Table.Th>Events</Table.Th>
            <Table.Th>Owner</Table.Th>
            <Table.Th>Last 24 hours</Table.Th>
            <Table.Th>
              <Text span className="visually-hidden" size="sm">
                Actions
              </Text>
            </Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {webhooks.map((webhook) => (
            <WebhookRow key={webhook.id} webhook={webhook} isAdmin={isAdmin} />
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function NoWebhooks({ isAdmin }: { isAdmin: boolean }) {
  return (
    <Empty title="No webhooks yet">
      A webhook pushes each event the moment it happens, as a signed request, to a URL of yours or to Twilio Segment.
      {isAdmin ? (
        <>
          {" "}
          <Link to="/start" className="link">
            Make your first one step by step
          </Link>
          , in a minute and without a receiver of your own; or{" "}
          <Link to="/webhooks/new" className="link">
            add one
          </Link>{" "}
          with everything at your choice.
        </>
      ) : (
        " An admin of your subscription can add one."
      )}
    </Empty>
  );
}
