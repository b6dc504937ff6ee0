import { Anchor, Table, TextInput } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { IconSearch } from "@tabler/icons-react";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { type Kind, usePeople } from "../../api/people";
import type { Schemas } from "../../api/client";
import { More } from "../../parts/more";
import { Page } from "../../parts/page";
import { Empty, Failed, Waiting } from "../../parts/states";
import { Time } from "../../parts/time";

const visitors = getRouteApi("/signed-in/visitors");
const accounts = getRouteApi("/signed-in/accounts");

/** Who is known to use the product. */
export function Visitors() {
  const { prefix = "" } = visitors.useSearch();
  return <People kind="visitor" title="Visitors" prefix={prefix} />;
}

/** For whom they use it. */
export function Accounts() {
  const { prefix = "" } = accounts.useSearch();
  return <People kind="account" title="Accounts" prefix={prefix} />;
}

function People({ kind, title, prefix }: { kind: Kind; title: string; prefix: string }) {
  const navigate = useNavigate();
  const list = usePeople(kind, prefix);
  const search = useDebouncedCallback((text: string) => {
    const search = text === "" ? {} : { prefix: text };
    void (kind === "visitor" ? navigate({ to: "/visitors", search, replace: true }) : navigate({ to: "/accounts", search, replace: true }));
  }, 250);
  return (
    <Page title={title} crumbs={[{ name: "Data" }]}>
      <TextInput
        aria-label={`Search ${title.toLowerCase()}`}
        placeholder="Ids that begin with…"
        leftSection={<IconSearch size={16} />}
        maw={420}
        defaultValue={prefix}
        onChange={(event) => { search(event.currentTarget.value); }}
        spellCheck={false}
      />
      {list.isPending && <Waiting />}
      {list.isError && <Failed error={list.error} again={() => void list.refetch()} />}
      {list.isSuccess && list.rows.length === 0 && (
        <Empty title={prefix === "" ? `No ${title.toLowerCase()} yet` : "Nobody"}>
          {prefix === ""
            ? "They appear when the agent identifies them, an event names them, or the Metadata API makes them."
            : "Ids begin exactly so: upper and lower case differ."}
        </Empty>
      )}
      {list.rows.length > 0 && <List rows={list.rows} kind={kind} />}
      <More list={list} />
    </Page>
  );
}

function List({ rows, kind }: { rows: Schemas["Person"][]; kind: Kind }) {
  return (
    <Table.ScrollContainer minWidth={560}>
      <Table verticalSpacing="xs" highlightOnHover>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Id</Table.Th>
            {kind === "visitor" && <Table.Th>Account</Table.Th>}
            <Table.Th>First seen in the product</Table.Th>
            <Table.Th>Last seen there</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {rows.map(({ id, account_id: account, first_visit: first, last_visit: last }) => (
            <Table.Tr key={id}>
              <Table.Td className="break">
                <Anchor component={Link} to={`/${kind}s/${encodeURIComponent(id)}`} size="sm">
                  {id}
                </Anchor>
              </Table.Td>
              {kind === "visitor" && <Table.Td className="break">{account}</Table.Td>}
              <Table.Td>
                <Time at={first} none="not yet" />
              </Table.Td>
              <Table.Td>
                <Time at={last} />
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}
