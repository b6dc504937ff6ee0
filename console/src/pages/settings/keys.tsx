import { Button, Group, Modal, Select, Stack, Table, Text, TextInput } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconPlus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, ask, fieldProblem, type Schemas } from "../../api/client";
import { useChange, useIsAdmin } from "../../api/queries";
import { LISTS } from "../../api/settings";
import { Confirm } from "../../parts/confirm";
import { Page } from "../../parts/page";
import { ShownOnce } from "../../parts/shown-once";
import { Empty, Failed, Refused, Waiting } from "../../parts/states";
import { Time } from "../../parts/time";

type Key = Schemas["Key"];

/** Integration keys: what programs call the API with. */
export function Keys() {
  const isAdmin = useIsAdmin();
  const [making, { open, close }] = useDisclosure();
  const keys = useQuery({ queryKey: LISTS.keys, queryFn: () => ask(api.GET("/api/v1/keys")) });
  const add = isAdmin && (
    <Button leftSection={<IconPlus size={16} />} onClick={open}>
      Add key
    </Button>
  );
  return (
    <Page title="Integration keys" crumbs={[{ name: "Settings" }]} actions={add}>
      {keys.isPending && <Waiting />}
      {keys.isError && <Failed error={keys.error} again={() => void keys.refetch()} />}
      {keys.data?.data.length === 0 && <Empty title="No keys">Programs call the API with a key. An admin can make one.</Empty>}
      {keys.data !== undefined && keys.data.data.length > 0 && <List rows={keys.data.data} isAdmin={isAdmin} />}
      {making && <MakeKey onClose={close} />}
    </Page>
  );
}

function List({ rows, isAdmin }: { rows: Key[]; isAdmin: boolean }) {
  return (
    <Table.ScrollContainer minWidth={640}>
      <Table verticalSpacing="sm">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Name</Table.Th>
            <Table.Th>Role</Table.Th>
            <Table.Th>Last used</Table.Th>
            <Table.Th>Expires</Table.Th>
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

function Row({ row, isAdmin }: { row: Key; isAdmin: boolean }) {
  const [asking, { open, close }] = useDisclosure();
  const revoke = useChange(() => ask(api.DELETE("/api/v1/keys/{id}", { params: { path: { id: row.id } } })), LISTS.keys);
  return (
    <Table.Tr>
      <Table.Td className="break">{row.name}</Table.Td>
      <Table.Td>{row.role}</Table.Td>
      <Table.Td>
        <Time at={row.last_used_at} />
      </Table.Td>
      <Table.Td>
        <Time at={row.expires_at} />
      </Table.Td>
      <Table.Td ta="right">
        {isAdmin && (
          <Button size="xs" variant="default" c="red" onClick={open} aria-label={`Revoke ${row.name}`}>
            Revoke
          </Button>
        )}
        <Confirm
          title="Revoke this key?"
          action="Revoke"
          opened={asking}
          onClose={close}
          confirm={{ ...revoke, mutate: () => { revoke.mutate(undefined, { onSuccess: close }); } }}
        >
          Whatever calls the API with <b>{row.name}</b> is refused from then on.
        </Confirm>
      </Table.Td>
    </Table.Tr>
  );
}

const DAYS: { value: string; label: string }[] = [
  { value: "", label: "Never" },
  { value: "30", label: "In 30 days" },
  { value: "90", label: "In 90 days" },
  { value: "365", label: "In a year" },
];

/** So many days from now, as the API takes it. */
function inDays(days: number): string {
  return new Date(Date.now() + days * 86_400_000).toISOString();
}

function MakeKey({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState("");
  const [role, setRole] = useState("member");
  const [days, setDays] = useState("");
  const make = useChange((body: Schemas["KeyInput"]) => ask(api.POST("/api/v1/keys", { body })), LISTS.keys);
  if (make.data?.key) {
    return (
      <ShownOnce title={`The key ${make.data.name}`} value={make.data.key} onClose={onClose}>
        It is shown this once. Whoever has it can do what its role allows.
      </ShownOnce>
    );
  }
  return (
    <Modal opened onClose={onClose} title="Add an integration key" centered>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          make.mutate({ name, role, ...(days === "" ? {} : { expires_at: inDays(Number(days)) }) });
        }}
      >
        <Stack gap="md">
          <TextInput
            label="Name"
            description="Which program uses it."
            required
            data-autofocus
            value={name}
            onChange={(event) => { setName(event.currentTarget.value); }}
            error={fieldProblem(make.error, "name")}
          />
          <Select
            label="Role"
            data={[
              { value: "member", label: "Member: reads" },
              { value: "admin", label: "Admin: sees and changes everything" },
            ]}
            value={role}
            onChange={(chosen) => { setRole(chosen ?? "member"); }}
            allowDeselect={false}
          />
          <Select label="Expires" data={DAYS} value={days} onChange={(chosen) => { setDays(chosen ?? ""); }} allowDeselect={false} />
          <Refused error={fieldProblem(make.error, "name") === undefined ? make.error : null} />
          <Group justify="flex-end">
            <Button type="submit" loading={make.isPending}>
              Make the key
            </Button>
          </Group>
          <Text size="xs" c="dimmed">
            To replace a key, make a second one, move its users over, and revoke the first.
          </Text>
        </Stack>
      </form>
    </Modal>
  );
}
