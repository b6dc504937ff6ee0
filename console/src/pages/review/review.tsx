import { Alert, Button, Checkbox, Group, Stack, Text } from "@mantine/core";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { api, ask } from "../../api/client";
import { useErrorLog } from "../../api/deliveries";
import { useChange, useIsAdmin } from "../../api/queries";
import { useWebhook, type Webhook, WEBHOOKS } from "../../api/webhooks";
import { More } from "../../parts/more";
import { Page } from "../../parts/page";
import { Empty, Failed, Refused, Waiting } from "../../parts/states";
import { ErrorEntries } from "../error-log/entries";

const route = getRouteApi("/signed-in/webhooks/$id/review");

/** A failing webhook's log, and the way back for one that was turned off. */
export function Review() {
  const { id } = route.useParams();
  const webhook = useWebhook(id);
  if (webhook.isPending) return <Waiting />;
  if (webhook.data === undefined) return <Failed error={webhook.error} again={() => void webhook.refetch()} />;
  return <Log webhook={webhook.data} />;
}

function Log({ webhook }: { webhook: Webhook }) {
  const { id, name, state } = webhook;
  const isAdmin = useIsAdmin();
  const log = useErrorLog({ webhook: id });
  const crumbs = [{ name: "Settings" }, { name: "Integrations" }, { name: "Webhooks", to: "/webhooks" }, { name, to: `/webhooks/${id}` }];
  return (
    <Page title="Review logs" crumbs={crumbs}>
      {state === "turned_off" && isAdmin && <TurnOn webhook={webhook} />}
      {log.isPending && <Waiting />}
      {log.isError && <Failed error={log.error} again={() => void log.refetch()} />}
      {log.isSuccess && log.rows.length === 0 && <Empty title="No errors are on record">Every attempt that is kept succeeded.</Empty>}
      <ErrorEntries entries={log.rows} />
      <More list={log} />
    </Page>
  );
}

function TurnOn({ webhook: { id } }: { webhook: Webhook }) {
  const [reviewed, setReviewed] = useState(false);
  const navigate = useNavigate();
  const turnOn = useChange(
    () => ask(api.POST("/api/v1/webhooks/{id}/turn-on", { params: { path: { id } }, body: { reviewed_logs: true } })),
    WEBHOOKS,
  );
  return (
    <Alert color="violet" title="Turn it on again">
      <Stack gap="sm">
        <Text size="sm">
          Look at what the receiver answered, repair it, and <Link to="/webhooks/$id/edit" params={{ id }} className="link">send it a test</Link>. What it has
          missed can be sent afterwards.
        </Text>
        <Checkbox
          label="I have reviewed the logs, and the receiver is repaired"
          checked={reviewed}
          onChange={(event) => { setReviewed(event.currentTarget.checked); }}
        />
        <Refused error={turnOn.error} />
        <Group>
          <Button
            disabled={!reviewed}
            loading={turnOn.isPending}
            onClick={() => {
              turnOn.mutate(undefined, {
                onSuccess: () => void navigate({ to: "/webhooks/$id", params: { id }, search: { tab: "replays" } }),
              });
            }}
          >
            Turn on
          </Button>
        </Group>
      </Stack>
    </Alert>
  );
}
