import { Button, FileButton, Group, Select, Table, Text, TextInput } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useState } from "react";
import { api, ask, base, fieldProblem, type Schemas } from "../../api/client";
import { useChange, useIsAdmin } from "../../api/queries";
import { LISTS, useExclusions } from "../../api/settings";
import { Confirm } from "../../parts/confirm";
import { More } from "../../parts/more";
import { Page } from "../../parts/page";
import { Empty, Failed, Refused, Waiting } from "../../parts/states";
import { Time } from "../../parts/time";

const KINDS = [
  { value: "visitor", label: "Visitor" },
  { value: "account", label: "Account" },
  { value: "ip", label: "IP address or network" },
  { value: "host", label: "Host of the page" },
];

/** Whose events are kept and shown, and pushed to nobody. */
export function Exclusions() {
  const isAdmin = useIsAdmin();
  const rules = useExclusions();
  return (
    <Page
      title="Exclusions"
      crumbs={[{ name: "Data" }]}
      actions={
        <>
          {isAdmin && <ImportRules />}
          <Button component="a" variant="default" href={new URL("api/v1/exclusions.csv", base).href}>
            Download CSV
          </Button>
        </>
      }
    >
      <Text size="sm" c="dimmed" maw={720}>
        What an excluded visitor does is kept and shown, and pushed to no webhook. Rules hold for what comes in from now on;
        removing one replays nothing.
      </Text>
      {isAdmin && <AddRule />}
      {rules.isPending && <Waiting />}
      {rules.isError && <Failed error={rules.error} again={() => void rules.refetch()} />}
      {rules.isSuccess && rules.rows.length === 0 && <Empty title="Nobody is excluded">Your own staff and test accounts are often the first.</Empty>}
      {rules.rows.length > 0 && <List rows={rules.rows} isAdmin={isAdmin} />}
      <More list={rules} />
    </Page>
  );
}

/** Adds what a CSV file lists, all of it or nothing. */
function ImportRules() {
  const take = useChange(async (file: File) => {
    const asked = { body: await file.text(), bodySerializer: (text: string) => text, headers: { "Content-Type": "text/csv" } };
    return ask(api.POST("/api/v1/exclusions.csv", asked));
  }, LISTS.exclusions);
  return (
    <>
      <Refused error={take.error} />
      <FileButton accept=".csv,text/csv" onChange={(file) => { if (file !== null) take.mutate(file); }}>
        {(props) => (
          <Button {...props} variant="default" loading={take.isPending}>
            Import CSV
          </Button>
        )}
      </FileButton>
    </>
  );
}

function AddRule() {
  const [kind, setKind] = useState("visitor");
  const [pattern, setPattern] = useState("");
  const add = useChange((body: Schemas["ExclusionInput"]) => ask(api.POST("/api/v1/exclusions", { body })), LISTS.exclusions);
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        add.mutate({ kind, pattern }, { onSuccess: () => { setPattern(""); } });
      }}
    >
      <Group align="flex-end">
        <Select label="Who" data={KINDS} value={kind} onChange={(chosen) => { setKind(chosen ?? "visitor"); }} allowDeselect={false} w={210} />
        <TextInput
          label="Pattern"
          placeholder="staff-*"
          required
          value={pattern}
          onChange={(event) => { setPattern(event.currentTarget.value); }}
          error={fieldProblem(add.error, "pattern")}
          w={280}
        />
        <Button type="submit" loading={add.isPending}>
          Exclude
        </Button>
      </Group>
      <Refused error={fieldProblem(add.error, "pattern") === undefined ? add.error : null} />
    </form>
  );
}

function List({ rows, isAdmin }: { rows: Schemas["Exclusion"][]; isAdmin: boolean }) {
  return (
    <Table verticalSpacing="xs">
      <Table.Thead>
        <Table.Tr>
          <Table.Th>Who</Table.Th>
          <Table.Th>Pattern</Table.Th>
          <Table.Th>Since</Table.Th>
          <Table.Th />
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {rows.map((row) => (
          <Row key={row.id} row={row} isAdmin={isAdmin} />
        ))}
      </Table.Tbody>
    </Table>
  );
}

function Row({ row, isAdmin }: { row: Schemas["Exclusion"]; isAdmin: boolean }) {
  const [asking, { open, close }] = useDisclosure();
  const remove = useChange(() => ask(api.DELETE("/api/v1/exclusions/{id}", { params: { path: { id: row.id } } })), LISTS.exclusions);
  return (
    <Table.Tr>
      <Table.Td>{KINDS.find(({ value }) => value === row.kind)?.label ?? row.kind}</Table.Td>
      <Table.Td className="break">{row.pattern}</Table.Td>
      <Table.Td>
        <Time at={row.created_at} />
      </Table.Td>
      <Table.Td ta="right">
        {isAdmin && (
          <Button size="xs" variant="default" c="red" onClick={open} aria-label={`Remove ${row.pattern}`}>
            Remove
          </Button>
        )}
        <Confirm
          title="Remove this rule?"
          action="Remove"
          opened={asking}
          onClose={close}
          confirm={{ ...remove, mutate: () => { remove.mutate(undefined, { onSuccess: close }); } }}
        >
          Events of <b>{row.pattern}</b> are pushed again from now on. What was kept back stays back.
        </Confirm>
      </Table.Td>
    </Table.Tr>
  );
}
