import { Badge, Button, Table, Text } from "@mantine/core";
import { api, ask, inWords, type Schemas } from "../../api/client";
import { useChange, useIsAdmin } from "../../api/queries";
import { LISTS, useMails } from "../../api/settings";
import { More } from "../../parts/more";
import { Page } from "../../parts/page";
import { Empty, Failed, Waiting } from "../../parts/states";
import { Time } from "../../parts/time";

type Mail = Schemas["Mail"];

const COLOURS: Record<string, string> = { sent: "green", waiting: "yellow", failed: "red" };

/** Mail to the subscription's people, and what became of it. */
export function Mails() {
  const mails = useMails();
  const isAdmin = useIsAdmin();
  return (
    <Page title="Outbox" crumbs={[{ name: "Settings" }]}>
      <Text size="sm" c="dimmed" maw={760}>
        Invitations, links for forgotten passwords, and warnings of failing webhooks. What they say is not shown: their links open accounts.
      </Text>
      {mails.isPending && <Waiting />}
      {mails.isError && <Failed error={mails.error} again={() => void mails.refetch()} />}
      {mails.isSuccess && mails.rows.length === 0 && <Empty title="No mail">Nobody was invited or warned in the last 14 days.</Empty>}
      {mails.rows.length > 0 && <List rows={mails.rows} isAdmin={isAdmin} />}
      <More list={mails} />
    </Page>
  );
}

function List({ rows, isAdmin }: { rows: Mail[]; isAdmin: boolean }) {
  return (
    <Table.ScrollContainer minWidth={720}>
      <Table verticalSpacing="sm">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Written</Table.Th>
            <Table.Th>To</Table.Th>
            <Table.Th>Subject</Table.Th>
            <Table.Th>State</Table.Th>
            <Table.Th />
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {rows.map((row) => (
            <Row key={row.id} row={row} isAdmin={isAdmin} />
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function Row({ row, isAdmin }: { row: Mail; isAdmin: boolean }) {
  const { id } = row;
  const again = useChange(() => ask(api.POST("/api/v1/mails/{id}/try-again", { params: { path: { id } } })), LISTS.mails);
  return (
    <Table.Tr>
      <Table.Td>
        <Time at={row.created_at} />
      </Table.Td>
      <Table.Td className="break">{row.to}</Table.Td>
      <Table.Td>{row.subject}</Table.Td>
      <Table.Td>
        <Badge color={COLOURS[row.state] ?? "gray"} variant="light" radius="sm" tt="none">
          {row.state}
        </Badge>
        <Fate row={row} />
        {again.isError && (
          <Text size="xs" c="red" role="alert">
            {inWords(again.error)}
          </Text>
        )}
      </Table.Td>
      <Table.Td ta="right">
        {isAdmin && row.state !== "sent" && (
          <Button size="xs" variant="default" loading={again.isPending} onClick={() => { again.mutate(undefined); }} aria-label={`Send now: ${row.subject}, to ${row.to}`}>
            Send now
          </Button>
        )}
      </Table.Td>
    </Table.Tr>
  );
}

/** Why a mail is not there yet, and when it is tried again. */
function Fate({ row }: { row: Mail }) {
  if (row.state === "sent") return null;
  return (
    <Text size="xs" c="dimmed" className="break">
      {row.attempts === 0 ? "Not tried yet: is a mail server set?" : row.last_error}
      {row.attempts > 0 && row.next_attempt_at !== null && row.next_attempt_at !== undefined && (
        <>
          {" "}
          Again <Time at={row.next_attempt_at} />.
        </>
      )}
    </Text>
  );
}
