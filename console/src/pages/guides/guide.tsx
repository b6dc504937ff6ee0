import { Button, Group, Stack, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { type Deed, type Guide, useChangeGuide, useDeed, useGuide } from "../../api/guides";
import { useIsAdmin } from "../../api/queries";
import { Confirm } from "../../parts/confirm";
import { Copy } from "../../parts/copy";
import { Page } from "../../parts/page";
import { Failed, Waiting } from "../../parts/states";
import { Status } from "../../parts/status";
import { Time } from "../../parts/time";
import { GuideForm } from "./form";
import { Outline } from "./outline";
import { valuesOf } from "./values";

const route = getRouteApi("/signed-in/guides/$id");
const CRUMBS = [{ name: "Data" }, { name: "Guides", to: "/guides" }];

export function GuidePage() {
  const { id } = route.useParams();
  const guide = useGuide(id);
  if (guide.isPending) return <Waiting />;
  if (guide.data === undefined) return <Failed error={guide.error} again={() => void guide.refetch()} />;
  return <One guide={guide.data} />;
}

function One({ guide }: { guide: Guide }) {
  const isAdmin = useIsAdmin();
  return (
    <Page title={guide.name} crumbs={CRUMBS} actions={isAdmin && <Actions guide={guide} />}>
      <Group gap="sm">
        <Status of={guide.state} />
        <Text size="sm" c="dimmed">
          Changed <Time at={new Date(guide.lastUpdatedAt).toISOString()} /> by {guide.lastUpdatedByUser.username}. Its id is {guide.id}.
        </Text>
        <Copy text={guide.id} label="Copy the id" />
      </Group>
      {/* What somebody else has saved meanwhile begins the form anew. */}
      {isAdmin ? <Edit key={guide.lastUpdatedAt} guide={guide} /> : <Outline guide={guide} />}
    </Page>
  );
}

function Edit({ guide }: { guide: Guide }) {
  const navigate = useNavigate();
  const change = useChangeGuide(guide.id);
  return <GuideForm start={valuesOf(guide)} save={change} action="Save" onCancel={() => void navigate({ to: "/guides", search: {} })} />;
}

function Actions({ guide }: { guide: Guide }) {
  return (
    <>
      {guide.state !== "published" && (
        <Ask guide={guide} deed="publish" name="Publish" title="Publish this guide?">
          Agents show it to visitors from now on.
        </Ask>
      )}
      {guide.state === "published" && (
        <Ask guide={guide} deed="reset" name="Reset" title="Reset this guide?">
          Visitors who have seen it may see it again.
        </Ask>
      )}
      {guide.state !== "archived" && (
        <Ask guide={guide} deed="archive" name="Archive" title="Archive this guide?">
          Agents show it no longer. Answers that still come are taken, and publishing brings it back.
        </Ask>
      )}
    </>
  );
}

interface AskProps {
  guide: Guide;
  deed: Deed;
  name: string;
  title: string;
  children: ReactNode;
}

function Ask({ guide, deed, name, title, children }: AskProps) {
  const [asking, { open, close }] = useDisclosure();
  const act = useDeed(guide.id, deed);
  return (
    <>
      <Button variant={deed === "publish" ? "filled" : "default"} onClick={open}>
        {name}
      </Button>
      <Confirm title={title} action={name} opened={asking} onClose={close} confirm={{ ...act, mutate: () => { act.mutate(undefined, { onSuccess: close }); } }}>
        <Stack gap="xs">{children}</Stack>
      </Confirm>
    </>
  );
}
