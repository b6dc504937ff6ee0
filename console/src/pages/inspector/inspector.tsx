import { Button, Code, Group, Stack, Text } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import type { Schemas } from "../../api/client";
import { useClearInspector, useInspector } from "../../api/inspector";
import { useIsAdmin } from "../../api/queries";
import { Copy } from "../../parts/copy";
import { Page } from "../../parts/page";
import { Empty, Failed, Refused, Waiting } from "../../parts/states";
import { Arrivals } from "./arrivals";

/** What arrives at the receiver that the installation has in itself. */
export function Inspector() {
  const inspector = useInspector();
  return (
    <Page title="Inspector" crumbs={[{ name: "Data" }]}>
      <Text size="sm" c="dimmed" maw={760}>
        A receiver of this installation's own, for trying out webhooks before there is another. It answers 200; with{" "}
        <Code>?status=503</Code> behind its address it answers that, to show what failing looks like. It forgets when the server restarts.
      </Text>
      {inspector.isPending && <Waiting />}
      {inspector.isError && <Failed error={inspector.error} again={() => void inspector.refetch()} />}
      {inspector.data && <Content inspector={inspector.data} />}
    </Page>
  );
}

function Content({ inspector }: { inspector: Schemas["Inspector"] }) {
  const isAdmin = useIsAdmin();
  const clear = useClearInspector();
  const { url, received, requests } = inspector;
  return (
    <Stack gap="md">
      <Group gap="xs">
        <Code className="break">{url}</Code>
        <Copy text={url} label="Copy the address" />
      </Group>
      {requests.length === 0 ? (
        <Empty title={received === 0 ? "Nothing has arrived yet" : "Forgotten"}>
          {isAdmin ? (
            <>
              Make a webhook with this address and send an event:{" "}
              <Link to="/start" className="link">
                your first webhook, step by step
              </Link>
              .
            </>
          ) : (
            "Requests of webhooks with this address are shown here."
          )}
        </Empty>
      ) : (
        <>
          <Group justify="space-between">
            <Text size="sm" c="dimmed" aria-live="polite">
              {received.toLocaleString("en")} received, the newest {requests.length} shown
            </Text>
            {isAdmin && (
              <Button size="xs" variant="default" loading={clear.isPending} onClick={() => { clear.mutate(undefined); }}>
                Forget them
              </Button>
            )}
          </Group>
          <Refused error={clear.error} />
          <Arrivals requests={requests} />
        </>
      )}
    </Stack>
  );
}
