import { Badge, Button, Code, Group, Loader, Select, Stack, Table, Text, TextInput, Title } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useState } from "react";
import { api, ask, type Schemas } from "../../api/client";
import { FORGET_JOBS, type Kind, useForgetJobs } from "../../api/people";
import { useChange } from "../../api/queries";
import { Confirm } from "../../parts/confirm";
import { Empty, Failed, Waiting } from "../../parts/states";
import { Time } from "../../parts/time";

/** Who was forgotten, or is being. */
export function ForgetJobs({ isAdmin }: { isAdmin: boolean }) {
  const jobs = useForgetJobs();
  return (
    <Stack gap="sm" component="section">
      <Title order={2} size="h4">
        Forget
      </Title>
      <Text size="sm" c="dimmed" maw={760}>
        Erases everything of a visitor or an account that was accepted until then, from the journal, the lanes and the records.
      </Text>
      {isAdmin && <Ask />}
      {jobs.isPending && <Waiting />}
      {jobs.isError && <Failed error={jobs.error} again={() => void jobs.refetch()} />}
      {jobs.data?.data.length === 0 && <Empty title="Nobody was forgotten">The page of a visitor or an account has a button for it, too.</Empty>}
      {jobs.data !== undefined && jobs.data.data.length > 0 && <List rows={jobs.data.data} />}
    </Stack>
  );
}

/** Also for somebody whom no list shows. */
function Ask() {
  const [kind, setKind] = useState<Kind>("visitor");
  const [id, setId] = useState("");
  const [asking, { open, close }] = useDisclosure();
  const path = kind === "visitor" ? "/api/v1/visitors/{id}/forget" : "/api/v1/accounts/{id}/forget";
  const forget = useChange(() => ask(api.POST(path, { params: { path: { id } } })), FORGET_JOBS, [`${kind}s`]);
  function asked() {
    close();
    setId("");
  }
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        open();
      }}
    >
      <Group align="flex-end">
        <Select label="Whom" data={[{ value: "visitor", label: "Visitor" }, { value: "account", label: "Account" }]} value={kind} onChange={(chosen) => { setKind(chosen ?? "visitor"); }} allowDeselect={false} w={150} />
        <TextInput label="Id to forget" required value={id} onChange={(event) => { setId(event.currentTarget.value); }} w={300} spellCheck={false} />
        <Button type="submit" variant="default" c="red">
          Forget
        </Button>
      </Group>
      {asking && (
        <Confirm
          title={`Forget this ${kind}?`}
          action="Forget"
          typed={id}
          opened
          onClose={close}
          confirm={{ ...forget, mutate: () => { forget.mutate(undefined, { onSuccess: asked }); } }}
        >
          Everything of <b>{id}</b> that was accepted until now is erased. This cannot be taken back.
        </Confirm>
      )}
    </form>
  );
}

function List({ rows }: { rows: Schemas["ForgetJob"][] }) {
  return (
    <Table.ScrollContainer minWidth={640}>
      <Table verticalSpacing="xs">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Kind</Table.Th>
            <Table.Th>Hash</Table.Th>
            <Table.Th>Asked</Table.Th>
            <Table.Th>State</Table.Th>
            <Table.Th>Erased</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody aria-live="polite">
          {rows.map((job) => (
            <Table.Tr key={job.id}>
              <Table.Td>{job.kind}</Table.Td>
              <Table.Td className="break">
                <Code>{job.person}</Code>
              </Table.Td>
              <Table.Td>
                <Time at={job.asked_at} />
              </Table.Td>
              <Table.Td>
                <Group gap={6} wrap="nowrap">
                  {job.state === "running" && <Loader size={12} aria-hidden />}
                  <Badge color={job.state === "done" ? "green" : "yellow"} variant="light" radius="sm" tt="none" miw="max-content">
                    {job.state}
                  </Badge>
                </Group>
                {job.problem && (
                  <Text size="xs" c="red" className="break">
                    {job.problem}
                  </Text>
                )}
              </Table.Td>
              <Table.Td>{job.erased_entries.toLocaleString("en")} entries</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}
