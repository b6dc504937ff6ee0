import { Button, Group, Select, TextInput } from "@mantine/core";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useErrorLog } from "../../api/deliveries";
import { downloadUrl } from "../../api/download";
import { useWebhooks } from "../../api/webhooks";
import { EVENTS } from "../../api/words";
import { More } from "../../parts/more";
import { Page } from "../../parts/page";
import { Empty, Failed, Waiting } from "../../parts/states";
import { ErrorEntries } from "./entries";

const route = getRouteApi("/signed-in/error-log");

/** Every failed attempt of the subscription, and when webhooks were turned off, newest first. */
export function ErrorLog() {
  const { webhook, event, status } = route.useSearch();
  const navigate = useNavigate();
  const webhooks = useWebhooks();
  const log = useErrorLog({ webhook, event, status });
  const narrow = (change: { webhook?: string; event?: string; status?: string }) =>
    void navigate({ to: "/error-log", search: { ...{ webhook, event, status }, ...change } as Record<string, string>, replace: true });
  const names = webhooks.data?.map(({ id, name }) => ({ value: id, label: name })) ?? [];
  return (
    <Page
      title="Error Log"
      crumbs={[{ name: "Settings" }]}
      actions={
        <Button component="a" variant="default" href={downloadUrl("api/v1/error-log.json", { webhook, event, status })}>
          Download JSON
        </Button>
      }
    >
      <Group align="flex-end">
        <Select label="Webhook" placeholder="any" clearable searchable data={names} value={webhook ?? null} onChange={(chosen) => { narrow({ webhook: chosen ?? "" }); }} w={240} />
        <Select label="Event" placeholder="any" clearable data={[...EVENTS]} value={event ?? null} onChange={(chosen) => { narrow({ event: chosen ?? "" }); }} w={200} />
        <TextInput
          label="Status"
          placeholder="503, failed, turned_off…"
          value={status ?? ""}
          onChange={(change) => { narrow({ status: change.currentTarget.value.trim() }); }}
          w={190}
        />
      </Group>
      {log.isPending && <Waiting />}
      {log.isError && <Failed error={log.error} again={() => void log.refetch()} />}
      {log.isSuccess && log.rows.length === 0 && (
        <Empty title="No errors">
          {webhook ?? event ?? status ? "No entry is like that." : "Every attempt that is kept was accepted by its receiver."}
        </Empty>
      )}
      <ErrorEntries entries={log.rows} />
      <More list={log} />
    </Page>
  );
}
