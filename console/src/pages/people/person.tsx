import { Alert, Anchor, Paper, SimpleGrid, Stack, Table, Text, Title } from "@mantine/core";
import { getRouteApi, Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { Schemas } from "../../api/client";
import { type Kind, useAccount, useVisitor } from "../../api/people";
import { useIsAdmin } from "../../api/queries";
import { Page } from "../../parts/page";
import { Failed, Waiting } from "../../parts/states";
import { Time } from "../../parts/time";
import { Forget } from "./forget";

const visitorRoute = getRouteApi("/signed-in/visitors/$id");
const accountRoute = getRouteApi("/signed-in/accounts/$id");

/** What is known of a visitor. */
export function VisitorPage() {
  const { id } = visitorRoute.useParams();
  const visitor = useVisitor(id);
  if (visitor.isPending) return <Waiting />;
  if (visitor.data === undefined) return <Failed error={visitor.error} again={() => void visitor.refetch()} />;
  const { account_id: account, browser, anonymous_ids: before } = visitor.data;
  return (
    <Person kind="visitor" person={visitor.data}>
      <Fact name="Account">{account ? <PersonLink kind="account" id={account} /> : "none"}</Fact>
      <Fact name="Browser">{browser && browser.name !== "" ? `${browser.name} ${browser.version}` : "not known"}</Fact>
      {before.length > 0 && (
        <Fact name="Before they signed in">
          {before.map((anonymous, index) => [
            index > 0 && ", ",
            <Link key={anonymous} className="link break" to="/events" search={{ visitor: anonymous }}>
              {anonymous}
            </Link>,
          ])}
        </Fact>
      )}
    </Person>
  );
}

/** What is known of an account. */
export function AccountPage() {
  const { id } = accountRoute.useParams();
  const account = useAccount(id);
  if (account.isPending) return <Waiting />;
  if (account.data === undefined) return <Failed error={account.error} again={() => void account.refetch()} />;
  const { parent_id: parent, sub_accounts: below } = account.data;
  return (
    <Person kind="account" person={account.data}>
      <Fact name="Parent">{parent ? <PersonLink kind="account" id={parent} /> : "none"}</Fact>
      <Fact name="Sub-accounts">
        {below.length === 0 ? "none" : below.map((id, index) => [index > 0 && ", ", <PersonLink key={id} kind="account" id={id} />])}
      </Fact>
    </Person>
  );
}

interface PersonProps {
  kind: Kind;
  person: Schemas["Visitor"] | Schemas["Account"];
  /** What only one of the two has. */
  children: ReactNode;
}

function Person({ kind, person, children }: PersonProps) {
  const isAdmin = useIsAdmin();
  const list = kind === "visitor" ? { name: "Visitors", to: "/visitors" } : { name: "Accounts", to: "/accounts" };
  return (
    <Page title={person.id} crumbs={[{ name: "Data" }, list]} actions={isAdmin && <Forget kind={kind} id={person.id} />}>
      {person.do_not_process && (
        <Alert color="orange" title="Not processed">
          What comes in of {person.id} is thrown away at once.{" "}
          <Link to="/privacy" className="link">
            Privacy
          </Link>
        </Alert>
      )}
      <Paper withBorder p="md">
        <SimpleGrid cols={{ base: 1, xs: 2, md: 5 }}>
          <Fact name="Known since">
            <Time at={person.known_at} />
          </Fact>
          <Fact name="First seen in the product">
            <Time at={person.first_visit} none="not yet" />
          </Fact>
          <Fact name="Last seen there">
            <Time at={person.last_visit} />
          </Fact>
          {children}
        </SimpleGrid>
      </Paper>
      <Metadata groups={person.metadata} />
      <Events kind={kind} id={person.id} events={person.events} />
    </Page>
  );
}

function Metadata({ groups }: { groups: Schemas["Visitor"]["metadata"] }) {
  const fields = Object.entries(groups).flatMap(([group, values]) => Object.entries(values).map(([name, value]) => ({ group, name, value })));
  return (
    <Stack gap="xs" component="section">
      <Title order={2} size="h4">
        Metadata
      </Title>
      {fields.length === 0 ? (
        <Text size="sm" c="dimmed">
          None. The agent&apos;s `identify` brings some, and the Metadata API sets it.
        </Text>
      ) : (
        <Table verticalSpacing={4} maw={720}>
          <Table.Tbody>
            {fields.map(({ group, name, value }) => (
              <Table.Tr key={`${group}.${name}`}>
                <Table.Th w="40%" className="break">
                  {group}.{name}
                </Table.Th>
                <Table.Td className="break">{typeof value === "string" ? value : JSON.stringify(value)}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
    </Stack>
  );
}

function Events({ kind, id, events }: { kind: Kind; id: string; events: Schemas["Event"][] }) {
  return (
    <Stack gap="xs" component="section">
      <Title order={2} size="h4">
        Newest events
      </Title>
      {events.length === 0 ? (
        <Text size="sm" c="dimmed">
          None is kept.
        </Text>
      ) : (
        <>
          <Table verticalSpacing={4} maw={720}>
            <Table.Tbody>
              {events.map((event) => (
                <Table.Tr key={event.id}>
                  <Table.Td>
                    <Anchor component={Link} to={`/events/${event.id}`} size="sm">
                      {event.event}
                    </Anchor>
                  </Table.Td>
                  <Table.Td>
                    <Time at={event.accepted_at} />
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
          <Text size="sm">
            <Link to="/events" search={{ [kind]: id }} className="link">
              All events of {id}
            </Link>
          </Text>
        </>
      )}
    </Stack>
  );
}

function PersonLink({ kind, id }: { kind: Kind; id: string }) {
  return (
    <Anchor component={Link} to={`/${kind}s/${encodeURIComponent(id)}`} size="sm" className="break">
      {id}
    </Anchor>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <Stack gap={2}>
      <Text size="xs" c="dimmed">
        {name}
      </Text>
      <Text size="sm" component="div" className="break">
        {children}
      </Text>
    </Stack>
  );
}
