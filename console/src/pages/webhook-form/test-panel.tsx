import { Alert, Badge, Button, Group, Paper, Select, Stack, Tabs, Text, Title } from "@mantine/core";
import { IconAlertTriangle } from "@tabler/icons-react";
import { useMutation } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { api, ask, type Schemas } from "../../api/client";
import { EVENTS } from "../../api/words";
import { Code } from "../../parts/code";
import { Headers } from "../../parts/headers";
import { Refused } from "../../parts/states";
import { Timings } from "../../parts/timings";

interface TestPanelProps {
  input: Schemas["WebhookInput"];
  id?: string;
  isReady: boolean;
}

/** Sends a test with what stands in the form, saved or not, and shows both sides of it. */
export function TestPanel({ input, id, isReady }: TestPanelProps) {
  const [event, setEvent] = useState("ping");
  const test = useMutation({
    mutationFn: () => {
      const query = event === "ping" ? {} : { event };
      // A test needs no name, and one that is still empty would be refused.
      const { name, ...nameless } = input;
      const body = name === "" ? nameless : input;
      return id === undefined
        ? ask(api.POST("/api/v1/webhooks/test", { params: { query }, body }))
        : ask(api.POST("/api/v1/webhooks/{id}/test", { params: { path: { id }, query }, body }));
    },
  });
  return (
    <Paper withBorder p="lg" component="section" aria-labelledby="test">
      <Stack gap="md">
        <Title order={2} size="h4" id="test">
          Test
        </Title>
        <Alert color="yellow" variant="light" icon={<IconAlertTriangle size={18} />} title="Events can hold personal data">
          Names, addresses and answers of your visitors may be in them. Use a destination that you trust before you test or
          turn on this webhook.
        </Alert>
        <Text size="sm" c="dimmed">
          Sends one request with what stands in the form now, saved or not. It is signed as usual, never retried, and counts
          for nothing.
        </Text>
        <Group align="flex-end">
          <Select
            label="What to send"
            data={["ping", ...EVENTS]}
            value={event}
            onChange={(chosen) => { setEvent(chosen ?? "ping"); }}
            allowDeselect={false}
          />
          <Button variant="light" loading={test.isPending} disabled={!isReady} onClick={() => { test.mutate(); }}>
            Test
          </Button>
        </Group>
        <Refused error={test.error} />
        <div aria-live="polite">{test.data && <Result result={test.data} id={id} />}</div>
      </Stack>
    </Paper>
  );
}

/** What leads to turning a webhook on again, once its receiver accepts events. */
function Offer({ offer, id }: { offer: Schemas["TurnOnOffer"]; id: string }) {
  return (
    <Alert color="violet" title="Turn it on again">
      <Stack gap="sm">
        <Text size="sm">{offer.sentence}</Text>
        {offer.by === "operator" && <Code text={offer.call} label="The operator's command" />}
        {offer.by === "admin" && offer.is_saved && (
          <Group>
            <Button component={Link} to={`/webhooks/${id}/review`}>
              Review logs and turn on
            </Button>
          </Group>
        )}
      </Stack>
    </Alert>
  );
}

function Result({ result, id }: { result: Schemas["TestResult"]; id: string | undefined }) {
  return (
    <Stack gap="sm">
      <Group gap="xs">
        <Badge variant="light" color={result.delivered ? "green" : "red"} radius="sm" tt="none">
          {result.status ?? "no answer"}
        </Badge>
        <Text size="sm" fw={500}>
          {result.sentence}
        </Text>
      </Group>
      {result.detail !== "" && (
        <Text size="sm" c="dimmed" className="break">
          {result.detail}
        </Text>
      )}
      {result.turn_on && id !== undefined && <Offer offer={result.turn_on} id={id} />}
      <Timings timings={result.timings} />
      <Tabs defaultValue="response">
        <Tabs.List>
          <Tabs.Tab value="response">Response</Tabs.Tab>
          <Tabs.Tab value="request">Request</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="response" pt="sm">
          <Stack gap="sm">
            <Headers headers={result.response.headers} />
            <Code text={result.response.body} label="Response body" />
          </Stack>
        </Tabs.Panel>
        <Tabs.Panel value="request" pt="sm">
          <Stack gap="sm">
            <Headers headers={result.request.headers} />
            <Code text={result.request.body} label="Request body" />
          </Stack>
        </Tabs.Panel>
      </Tabs>
    </Stack>
  );
}
