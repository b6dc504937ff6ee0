import { Button, Code, Group, Select, Stack, Table, Text, TextInput, Title } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useState } from "react";
import { api, ask, fieldProblem, type Schemas } from "../../api/client";
import { useChange, useList } from "../../api/queries";
import { Confirm } from "../../parts/confirm";
import { More } from "../../parts/more";
import { Empty, Failed, Refused, Waiting } from "../../parts/states";
import { Time } from "../../parts/time";

const KEY = ["do-not-process"] as const;
const PAGE = 100;

/** Visitors and accounts of whom nothing is stored. Who they are is not kept either, only a keyed hash. */
export function DoNotProcess({ isAdmin }: { isAdmin: boolean }) {
  const rules = useList(KEY, (cursor) => ask(api.GET("/api/v1/do-not-process", { params: { query: { limit: PAGE, ...(cursor ? { cursor } : {}) } } })));
  return (
    <Stack gap="sm" component="section">
      <Title order={2} size="h4">
        Do not process
      </Title>
      <Text size="sm" c="dimmed" maw={760}>
        What comes in of these visitors and accounts is thrown away at once: nothing is stored, nothing is pushed. Their ids are not kept either, only a
        hash that this installation alone can make.
      </Text>
      {isAdmin && <Add />}
      {rules.isPending && <Waiting />}
      {rules.isError && <Failed error={rules.error} again={() => void rules.refetch()} />}
      {rules.isSuccess && rules.rows.length === 0 && <Empty title="Everybody is processed">Whoever has objected is entered here.</Empty>}
      {rules.rows.length > 0 && (
        <Table.ScrollContainer minWidth={560}>
          <Table verticalSpacing="xs">
            <Table.Thead>
              <Table.Tr>
                <Table.Th>Kind</Table.Th>
                <Table.Th>Hash</Table.Th>
                <Table.Th>Since</Table.Th>
                <Table.Th />
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {rules.rows.map((rule) => (
                <Rule key={rule.id} rule={rule} isAdmin={isAdmin} />
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      )}
      <More list={rules} />
    </Stack>
  );
}

function Add() {
  const [kind, setKind] = useState("visitor");
  const [id, setId] = useState("");
  const add = useChange((body: Schemas["DoNotProcessInput"]) => ask(api.POST("/api/v1/do-not-process", { body })), KEY);
  const problem = fieldProblem(add.error, "id");
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        add.mutate({ kind, id }, { onSuccess: () => { setId(""); } });
      }}
    >
      <Group align="flex-end">
        <Select label="Kind" data={[{ value: "visitor", label: "Visitor" }, { value: "account", label: "Account" }]} value={kind} onChange={(chosen) => { setKind(chosen ?? "visitor"); }} allowDeselect={false} w={150} />
        <TextInput label="Id" required value={id} onChange={(event) => { setId(event.currentTarget.value); }} error={problem} w={300} spellCheck={false} />
        <Button type="submit" loading={add.isPending}>
          Do not process
        </Button>
      </Group>
      <Refused error={problem === undefined ? add.error : null} />
    </form>
  );
}

function Rule({ rule, isAdmin }: { rule: Schemas["DoNotProcess"]; isAdmin: boolean }) {
  const { id } = rule;
  const [asking, { open, close }] = useDisclosure();
  const remove = useChange(() => ask(api.DELETE("/api/v1/do-not-process/{id}", { params: { path: { id } } })), KEY);
  return (
    <Table.Tr>
      <Table.Td>{rule.kind}</Table.Td>
      <Table.Td className="break">
        <Code>{rule.person}</Code>
      </Table.Td>
      <Table.Td>
        <Time at={rule.created_at} />
      </Table.Td>
      <Table.Td ta="right">
        {isAdmin && (
          <Button size="xs" variant="default" c="red" onClick={open} aria-label={`Remove ${rule.person}`}>
            Remove
          </Button>
        )}
        <Confirm
          title="Process this person again?"
          action="Remove the rule"
          opened={asking}
          onClose={close}
          confirm={{ ...remove, mutate: () => { remove.mutate(undefined, { onSuccess: close }); } }}
        >
          What comes in of them is stored and pushed again from now on. What was thrown away does not come back.
        </Confirm>
      </Table.Td>
    </Table.Tr>
  );
}
