import { Anchor, Button, Select, Table } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { type Guide, useGuides } from "../../api/guides";
import { useIsAdmin } from "../../api/queries";
import { DEMO, DemoGuide } from "./demo";
import { More } from "../../parts/more";
import { Page } from "../../parts/page";
import { Empty, Failed, Waiting } from "../../parts/states";
import { Status } from "../../parts/status";
import { Time } from "../../parts/time";

const route = getRouteApi("/signed-in/guides");
const STATES = ["draft", "published", "archived"];

/** What visitors are shown and asked. */
export function Guides() {
  const { state } = route.useSearch();
  const navigate = useNavigate();
  const isAdmin = useIsAdmin();
  const guides = useGuides(state);
  const add = isAdmin && (
    <Button component={Link} to="/guides/new" leftSection={<IconPlus size={16} />}>
      Add guide
    </Button>
  );
  return (
    <Page title="Guides" crumbs={[{ name: "Data" }]} actions={add}>
      <Select
        label="State"
        placeholder="any"
        clearable
        data={STATES}
        value={state ?? null}
        onChange={(chosen) => void navigate({ to: "/guides", search: chosen === null ? {} : { state: chosen }, replace: true })}
        w={180}
      />
      {guides.isPending && <Waiting />}
      {guides.isError && <Failed error={guides.error} again={() => void guides.refetch()} />}
      {guides.isSuccess && guides.rows.length === 0 && (
        <Empty title={state === undefined ? "No guides yet" : `No guide is ${state}`}>
          {state === undefined &&
            "A guide is what visitors are shown: one or more steps, with polls and NPS on them. Events name it by its id, and receivers are told the rest from here."}
        </Empty>
      )}
      {guides.rows.length > 0 && <List rows={guides.rows} />}
      {/* Also once it is there: then it says where to answer it. */}
      {isAdmin && state === undefined && guides.isSuccess && guides.rows.every(({ id }) => id === DEMO) && <DemoGuide />}
      <More list={guides} />
    </Page>
  );
}

function List({ rows }: { rows: Guide[] }) {
  return (
    <Table.ScrollContainer minWidth={600}>
      <Table verticalSpacing="sm" highlightOnHover>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Guide</Table.Th>
            <Table.Th>State</Table.Th>
            <Table.Th>Steps</Table.Th>
            <Table.Th>Polls</Table.Th>
            <Table.Th>Changed</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {rows.map((guide) => (
            <Table.Tr key={guide.id}>
              <Table.Td className="break">
                <Anchor component={Link} to={`/guides/${encodeURIComponent(guide.id)}`} size="sm" fw={600}>
                  {guide.name}
                </Anchor>
              </Table.Td>
              <Table.Td>
                <Status of={guide.state} />
              </Table.Td>
              <Table.Td>{guide.steps.length}</Table.Td>
              <Table.Td>{guide.steps.reduce((count, step) => count + step.polls.length, 0)}</Table.Td>
              <Table.Td>
                <Time at={new Date(guide.lastUpdatedAt).toISOString()} />, {guide.lastUpdatedByUser.username}
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}
