import { Button, Group, Radio, Stack, Text, TextInput } from "@mantine/core";
import { useState } from "react";
import { useInspector } from "../../api/inspector";
import { Code } from "../../parts/code";
import { Copy } from "../../parts/copy";
import { Failed } from "../../parts/states";
import { LISTEN_URL, listenCommand, type Plan, type Receiver } from "./plan";

/** The first step: who receives. */
export function ChooseReceiver({ plan, onChosen }: { plan: Plan; onChosen: (plan: Plan) => void }) {
  const [receiver, setReceiver] = useState(plan.receiver);
  const [own, setOwn] = useState(plan.receiver === "own" ? plan.url : "");
  const inspector = useInspector();
  const urls: Record<Receiver, string | undefined> = { inspector: inspector.data?.url, listen: LISTEN_URL, own };
  const url = urls[receiver];
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (url) onChosen({ ...plan, receiver, url });
      }}
    >
      <Stack gap="lg" pt="md">
        <Radio.Group label="Who receives the events?" value={receiver} onChange={(chosen) => { setReceiver(chosen); }}>
          <Stack gap="sm" mt="xs">
            <Radio value="inspector" label="The inspector" description="A receiver of this installation's own. What arrives is shown here. Nothing to install." />
            <Radio value="listen" label="My machine" description="The program receives in a terminal, verifies every signature, and shows each event." />
            <Radio value="own" label="A URL" description="Something of yours, or of a service." />
          </Stack>
        </Radio.Group>
        {receiver === "inspector" && inspector.isError && <Failed error={inspector.error} again={() => void inspector.refetch()} />}
        {receiver === "listen" && (
          <Stack gap="xs">
            <Text size="sm">Run this where the server runs, then go on:</Text>
            <Code text={listenCommand(plan)} label="The command" />
            <Group>
              <Copy text={listenCommand(plan)} label="Copy the command" />
            </Group>
            <Text size="xs" c="dimmed">
              Receivers on the server's own machine need a server that was started with --allow-private. `make run` does that.
            </Text>
          </Stack>
        )}
        {receiver === "own" && (
          <TextInput
            label="URL"
            placeholder="https://example.com/webhooks/fanfare"
            required
            type="url"
            value={own}
            onChange={(event) => { setOwn(event.currentTarget.value); }}
            spellCheck={false}
          />
        )}
        <Group>
          <Button type="submit" disabled={!url}>
            Next
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
