import { Accordion, Button, Group, Modal, Paper, Select, Stack, Switch, TagsInput, Text, TextInput, Title } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconPlus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, ask, base, fieldProblem, type Schemas } from "../../api/client";
import { useChange, useIsAdmin } from "../../api/queries";
import { LISTS } from "../../api/settings";
import { Code } from "../../parts/code";
import { Confirm } from "../../parts/confirm";
import { Copy } from "../../parts/copy";
import { Page } from "../../parts/page";
import { ShownOnce } from "../../parts/shown-once";
import { Failed, Refused, Waiting } from "../../parts/states";
import { Time } from "../../parts/time";
import { snippet } from "./snippet";

type App = Schemas["App"];

const PLATFORMS = [
  { value: "web", label: "Web" },
  { value: "ios", label: "iOS" },
  { value: "android", label: "Android" },
];

/** The products of the subscription, and how their events come in. */
export function Apps() {
  const isAdmin = useIsAdmin();
  const [making, { open, close }] = useDisclosure();
  const apps = useQuery({ queryKey: LISTS.apps, queryFn: () => ask(api.GET("/api/v1/apps")) });
  const add = isAdmin && (
    <Button leftSection={<IconPlus size={16} />} onClick={open}>
      Add app
    </Button>
  );
  return (
    <Page title="Apps" crumbs={[{ name: "Settings" }]} actions={add}>
      {apps.isPending && <Waiting />}
      {apps.isError && <Failed error={apps.error} again={() => void apps.refetch()} />}
      {apps.data?.data.map((app) => (
        <OneApp key={app.id} app={app} isAdmin={isAdmin} />
      ))}
      {making && <MakeApp onClose={close} />}
    </Page>
  );
}

function OneApp({ app, isAdmin }: { app: App; isAdmin: boolean }) {
  return (
    <Paper withBorder p="lg" component="section" aria-label={app.name}>
      <Stack gap="md">
        <Group justify="space-between">
          <Title order={2} size="h4">
            {app.name}
          </Title>
          <Text size="sm" c="dimmed">
            {PLATFORMS.find(({ value }) => value === app.platform)?.label ?? app.platform} · id {app.id}
          </Text>
        </Group>
        <Text size="sm">
          The agent key is public: it says for which app a batch is sent, to <code>{new URL("data/events", base).href}</code>.
        </Text>
        <Group>
          <Code text={app.agent_key} label="Agent key" />
          <Copy text={app.agent_key} />
        </Group>
        {app.old_agent_key_until && (
          <Text size="sm" c="dimmed">
            The agent key before it opens until <Time at={app.old_agent_key_until} />.
          </Text>
        )}
        {app.platform === "web" && <Install app={app} />}
        <Origins app={app} isAdmin={isAdmin} />
        <DoNotTrack app={app} isAdmin={isAdmin} />
        {isAdmin && <TrackSecret app={app} />}
      </Stack>
    </Paper>
  );
}

/** What brings the agent into the app's pages. */
function Install({ app }: { app: App }) {
  const text = snippet(base.href.replace(/\/$/, ""), app.agent_key);
  return (
    <Accordion variant="contained">
      <Accordion.Item value="install">
        <Accordion.Control>Install the agent</Accordion.Control>
        <Accordion.Panel>
          <Stack gap="sm">
            <Text size="sm">
              Paste this into every page, before <code>{"</head>"}</code>, and fill in who is there. Pages of other origins have to be listed below.
            </Text>
            <Code text={text} label="The snippet" />
            <Group>
              <Copy text={text} label="Copy the snippet" />
            </Group>
          </Stack>
        </Accordion.Panel>
      </Accordion.Item>
    </Accordion>
  );
}

function Origins({ app, isAdmin }: { app: App; isAdmin: boolean }) {
  const [origins, setOrigins] = useState(app.origins);
  const { id } = app;
  const save = useChange((body: Schemas["AppInput"]) => ask(api.PATCH("/api/v1/apps/{id}", { params: { path: { id } }, body })), LISTS.apps);
  const isChanged = JSON.stringify(origins) !== JSON.stringify(app.origins);
  return (
    <Stack gap="xs" align="flex-start">
      <TagsInput
        label="Origins"
        description="Pages of these origins may send batches, such as https://app.example.com. The installation's own always may."
        value={origins}
        onChange={setOrigins}
        disabled={!isAdmin}
        error={fieldProblem(save.error, "origins")}
        w="100%"
      />
      {isChanged && (
        <Button size="xs" loading={save.isPending} onClick={() => { save.mutate({ origins }); }}>
          Save
        </Button>
      )}
    </Stack>
  );
}

function DoNotTrack({ app, isAdmin }: { app: App; isAdmin: boolean }) {
  const { id, respect_do_not_track: isOn } = app;
  const save = useChange((body: Schemas["AppInput"]) => ask(api.PATCH("/api/v1/apps/{id}", { params: { path: { id } }, body })), LISTS.apps);
  return (
    <>
      <Switch
        label="Respect do-not-track"
        description="Nothing is taken from browsers whose users have said that they do not want to be tracked."
        checked={isOn}
        disabled={!isAdmin || save.isPending}
        onChange={(event) => { save.mutate({ respect_do_not_track: event.currentTarget.checked }); }}
      />
      <Refused error={save.error} />
    </>
  );
}

function TrackSecret({ app: { id, old_track_secret_until: until } }: { app: App }) {
  const [asking, { open, close }] = useDisclosure();
  const rotate = useChange(() => ask(api.POST("/api/v1/apps/{id}/rotate-track-secret", { params: { path: { id } } })), LISTS.apps);
  return (
    <Group>
      <Button variant="default" size="xs" onClick={open}>
        Make another track secret
      </Button>
      <Text size="sm" c="dimmed">
        Servers send it with <code>x-pendo-integration-key</code>.
        {until && (
          <>
            {" "}
            The one before opens until <Time at={until} />.
          </>
        )}
      </Text>
      <Confirm
        title="Make another track secret?"
        action="Make it"
        opened={asking}
        onClose={close}
        confirm={{ ...rotate, mutate: () => { rotate.mutate(undefined, { onSuccess: close }); } }}
      >
        The present one opens for a day yet. Move your servers over in that time.
      </Confirm>
      {rotate.data?.track_secret && (
        <ShownOnce title="The track secret" value={rotate.data.track_secret} onClose={() => { rotate.reset(); }}>
          It is shown this once. Whoever has it can send track events for this app.
        </ShownOnce>
      )}
    </Group>
  );
}

function MakeApp({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState("");
  const [platform, setPlatform] = useState("web");
  const make = useChange((body: Schemas["AppInput"]) => ask(api.POST("/api/v1/apps", { body })), LISTS.apps);
  if (make.data?.track_secret) {
    return (
      <ShownOnce title={`${make.data.name} was added`} value={make.data.track_secret} onClose={onClose}>
        This is its track secret, by which servers send track events. It is shown this once.
      </ShownOnce>
    );
  }
  return (
    <Modal opened onClose={onClose} title="Add an app" centered>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          make.mutate({ name, platform });
        }}
      >
        <Stack gap="md">
          <TextInput label="Name" required data-autofocus value={name} onChange={(event) => { setName(event.currentTarget.value); }} error={fieldProblem(make.error, "name")} />
          <Select label="Platform" data={PLATFORMS} value={platform} onChange={(chosen) => { setPlatform(chosen ?? "web"); }} allowDeselect={false} />
          <Refused error={fieldProblem(make.error, "name") === undefined ? make.error : null} />
          <Group justify="flex-end">
            <Button type="submit" loading={make.isPending}>
              Add
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
