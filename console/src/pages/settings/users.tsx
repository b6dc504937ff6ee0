import { Button, Group, Modal, Select, Stack, Table, Text, TextInput } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconPlus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, ask, fieldProblem, inWords, type Schemas } from "../../api/client";
import { useChange, useIsAdmin, useSession } from "../../api/queries";
import { LISTS } from "../../api/settings";
import { Confirm } from "../../parts/confirm";
import { Page } from "../../parts/page";
import { Failed, Refused, Waiting } from "../../parts/states";
import { Time } from "../../parts/time";

type User = Schemas["User"];

const ROLES = [
  { value: "member", label: "Member" },
  { value: "admin", label: "Admin" },
];

/** Who may be here, and as what. */
export function Users() {
  const isAdmin = useIsAdmin();
  const [inviting, { open, close }] = useDisclosure();
  const users = useQuery({ queryKey: LISTS.users, queryFn: () => ask(api.GET("/api/v1/users")) });
  const invite = isAdmin && (
    <Button leftSection={<IconPlus size={16} />} onClick={open}>
      Invite
    </Button>
  );
  return (
    <Page title="Users" crumbs={[{ name: "Settings" }]} actions={invite}>
      {users.isPending && <Waiting />}
      {users.isError && <Failed error={users.error} again={() => void users.refetch()} />}
      {users.data !== undefined && <List rows={users.data.data} isAdmin={isAdmin} />}
      {inviting && <Invite onClose={close} />}
    </Page>
  );
}

function List({ rows, isAdmin }: { rows: User[]; isAdmin: boolean }) {
  return (
    <Table.ScrollContainer minWidth={720}>
      <Table verticalSpacing="sm">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Name</Table.Th>
            <Table.Th>Role</Table.Th>
            <Table.Th>State</Table.Th>
            <Table.Th>Second factor</Table.Th>
            <Table.Th>Last signed in</Table.Th>
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

function Row({ row, isAdmin }: { row: User; isAdmin: boolean }) {
  const { id } = row;
  const isMe = useSession().data?.user.id === id;
  const change = useChange(
    (role: string) => ask(api.PATCH("/api/v1/users/{id}", { params: { path: { id } }, body: { role } })),
    LISTS.users,
  );
  return (
    <Table.Tr>
      <Table.Td>
        <Text size="sm" fw={600}>
          {row.name}
          {isMe && " (you)"}
        </Text>
        <Text size="xs" c="dimmed" className="break">
          {row.email}
        </Text>
        {change.isError && (
          <Text size="xs" c="red" role="alert">
            {inWords(change.error)}
          </Text>
        )}
      </Table.Td>
      <Table.Td>
        {isAdmin && row.state !== "removed" ? (
          <Select
            data={ROLES}
            value={row.role}
            onChange={(role) => { if (role !== null && role !== row.role) change.mutate(role); }}
            allowDeselect={false}
            aria-label={`Role of ${row.name}`}
            w={120}
            size="xs"
          />
        ) : (
          row.role
        )}
      </Table.Td>
      <Table.Td>{row.state}</Table.Td>
      <Table.Td>{row.second_factor ? "yes" : "no"}</Table.Td>
      <Table.Td>
        <Time at={row.last_sign_in_at} />
      </Table.Td>
      <Table.Td>{isAdmin && <Actions row={row} isMe={isMe} />}</Table.Td>
    </Table.Tr>
  );
}

function Actions({ row, isMe }: { row: User; isMe: boolean }) {
  const { id } = row;
  const [asking, { open, close }] = useDisclosure();
  const again = useChange(() => ask(api.POST("/api/v1/users/{id}/invite", { params: { path: { id } } })), LISTS.users);
  const remove = useChange(() => ask(api.DELETE("/api/v1/users/{id}", { params: { path: { id } } })), LISTS.users);
  return (
    <Group gap="xs" justify="flex-end" wrap="nowrap">
      {row.state === "invited" && (
        <Button size="xs" variant="default" loading={again.isPending} onClick={() => { again.mutate(undefined); }}>
          {again.isSuccess ? "Sent again" : "Invite again"}
        </Button>
      )}
      {!isMe && (
        <Button size="xs" variant="default" c="red" onClick={open} aria-label={`Remove ${row.name}`}>
          Remove
        </Button>
      )}
      <Confirm
        title="Remove this user?"
        action="Remove"
        opened={asking}
        onClose={close}
        confirm={{ ...remove, mutate: () => { remove.mutate(undefined, { onSuccess: close }); } }}
      >
        <b>{row.name}</b> is signed out at once and cannot come back unless somebody invites them again. What they made stays.
      </Confirm>
    </Group>
  );
}

function Invite({ onClose }: { onClose: () => void }) {
  const [email, setEmail] = useState("");
  const [name, setName] = useState("");
  const [role, setRole] = useState("member");
  const invite = useChange((body: Schemas["UserInput"]) => ask(api.POST("/api/v1/users", { body })), LISTS.users);
  return (
    <Modal opened onClose={onClose} title="Invite somebody" centered>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          invite.mutate({ email, name, role }, { onSuccess: onClose });
        }}
      >
        <Stack gap="md">
          <TextInput label="Name" required data-autofocus value={name} onChange={(event) => { setName(event.currentTarget.value); }} error={fieldProblem(invite.error, "name")} />
          <TextInput label="E-mail address" type="email" required value={email} onChange={(event) => { setEmail(event.currentTarget.value); }} error={fieldProblem(invite.error, "email")} />
          <Select label="Role" data={ROLES} value={role} onChange={(chosen) => { setRole(chosen ?? "member"); }} allowDeselect={false} />
          <Refused error={invite.error} />
          <Group justify="flex-end">
            <Button type="submit" loading={invite.isPending}>
              Send the invitation
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
