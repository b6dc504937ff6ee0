import { Alert, Button, Group, Paper, Select, Stack, Text, Title } from "@mantine/core";
import { IconAlertTriangle } from "@tabler/icons-react";
import { EVENTS } from "../../api/words";
import { Refused } from "../../parts/states";
import type { Test } from "./use-test";

/** Sends a test with what stands in the form, saved or not. */
export function TestPanel({ test, isReady }: { test: Test; isReady: boolean }) {
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
            data={[{ value: "ping", label: "The ping" }, { group: "A sample of", items: [...EVENTS] }]}
            value={test.event}
            onChange={(chosen) => { test.choose(chosen ?? "ping"); }}
            allowDeselect={false}
          />
          <Button variant="light" loading={test.isPending} disabled={!isReady} onClick={test.send}>
            Test
          </Button>
        </Group>
        <Refused error={test.error} />
      </Stack>
    </Paper>
  );
}
