import { Button, Table, Text, TextInput } from "@mantine/core";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import type { Schemas } from "../../api/client";
import { downloadUrl } from "../../api/download";
import { useAuditLog } from "../../api/settings";
import { More } from "../../parts/more";
import { Page } from "../../parts/page";
import { Empty, Failed, Waiting } from "../../parts/states";
import { Time } from "../../parts/time";
import { changeOf } from "./change";

const route = getRouteApi("/signed-in/audit-log");

/** Who changed what, newest first. */
export function AuditLog() {
  const { action } = route.useSearch();
  const navigate = useNavigate();
  const log = useAuditLog(action);
  return (
    <Page
      title="Audit log"
      crumbs={[{ name: "Settings" }]}
      actions={
        <Button component="a" variant="default" href={downloadUrl("api/v1/audit-log.json", { action })}>
          Download JSON
        </Button>
      }
    >
      <TextInput
        label="Action"
        placeholder="webhook.changed"
        maw={280}
        value={action ?? ""}
        onChange={(event) => void navigate({ to: "/audit-log", search: { action: event.currentTarget.value }, replace: true })}
      />
      {log.isPending && <Waiting />}
      {log.isError && <Failed error={log.error} again={() => void log.refetch()} />}
      {log.isSuccess && log.rows.length === 0 && <Empty title="No entries">{action ? "Nothing that was done is called so." : "Nothing was changed yet."}</Empty>}
      {log.rows.length > 0 && <List rows={log.rows} />}
      <More list={log} />
    </Page>
  );
}

function List({ rows }: { rows: Schemas["AuditEntry"][] }) {
  return (
    <Table.ScrollContainer minWidth={720}>
      <Table verticalSpacing="xs">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>When</Table.Th>
            <Table.Th>Who</Table.Th>
            <Table.Th>What</Table.Th>
            <Table.Th>Change</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {rows.map((row) => (
            <Table.Tr key={row.seq}>
              <Table.Td>
                <Time at={row.at} />
              </Table.Td>
              <Table.Td>
                <Text size="sm">{row.actor.name}</Text>
                <Text size="xs" c="dimmed">
                  {row.actor.kind} {row.actor.address}
                </Text>
              </Table.Td>
              <Table.Td>
                <Text size="sm">{row.action}</Text>
                <Text size="xs" c="dimmed" className="break">
                  {row.target}
                </Text>
              </Table.Td>
              <Table.Td maw={420}>
                <Text size="xs" className="break">
                  {changeOf(row)}
                </Text>
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}
