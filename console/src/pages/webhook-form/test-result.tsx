import { Alert, Badge, Button, Group, Paper, SimpleGrid, Stack, Text, Title } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { Schemas } from "../../api/client";
import { Code } from "../../parts/code";
import { Headers } from "../../parts/headers";
import { Timings } from "../../parts/timings";

/** What became of a test: in words, and both sides as they went over the wire. */
export function TestResult({ result, id }: { result: Schemas["TestResult"]; id: string | undefined }) {
  return (
    <Paper withBorder p="lg" component="section" aria-labelledby="test-result">
      <Stack gap="md">
        <Title order={2} size="h4" id="test-result">
          What became of the test
        </Title>
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
        <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="lg">
          <Side name="Request" headers={result.request.headers} body={result.request.body} />
          <Side name="Response" headers={result.response.headers} body={result.response.body} />
        </SimpleGrid>
      </Stack>
    </Paper>
  );
}

function Side({ name, headers, body }: { name: string; headers: Schemas["Header"][]; body: string }): ReactNode {
  return (
    <Stack gap="sm" miw={0}>
      <Title order={3} size="h5">
        {name}
      </Title>
      <Headers headers={headers} />
      <Code text={body} label={`${name} body`} />
    </Stack>
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
