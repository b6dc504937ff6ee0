import { Button, Group, Stack, Switch, Table, Text, Textarea } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { api, ask, fieldProblem, type Schemas } from "../../api/client";
import { Refused } from "../../parts/states";
import { Time } from "../../parts/time";
import type { PartProps } from "./part";
import { inputOf } from "./values";

/** Which of the events are told, tried against the newest ones before it is saved. */
export function Filter({ values, set, error }: PartProps) {
  const { categories, audit } = inputOf(values, true);
  const attempt = useMutation({
    mutationFn: () => ask(api.POST("/api/v1/webhooks/try-filter", { body: { filter: values.filter, ...(categories ? { categories } : {}), audit: audit ?? false } })),
  });
  const problem = fieldProblem(attempt.error, "filter") ?? fieldProblem(error, "filter");
  return (
    <Stack gap="sm">
      <Textarea
        label="Filter"
        description="An expression in CEL; events for which it is true are sent. Empty: all of them."
        placeholder={'event == "npsSubmitted" && properties.nps.rating <= 6'}
        autosize
        minRows={2}
        maxRows={12}
        value={values.filter}
        onChange={(event) => {
          attempt.reset();
          set("filter", event.currentTarget.value);
        }}
        error={problem}
        spellCheck={false}
        styles={{ input: { fontFamily: "var(--mantine-font-family-monospace)" } }}
      />
      <Group>
        <Button size="xs" variant="default" loading={attempt.isPending} disabled={values.filter.trim() === ""} onClick={() => { attempt.mutate(); }}>
          Try it on the last 100 events
        </Button>
      </Group>
      {problem === undefined && <Refused error={attempt.error} />}
      <div aria-live="polite">{attempt.data && <Tried tried={attempt.data} />}</div>
      <Switch
        label="Administrative changes too"
        description="Every entry of the audit log, as auditRecorded."
        checked={values.audit}
        onChange={(event) => { set("audit", event.currentTarget.checked); }}
      />
    </Stack>
  );
}

function Tried({ tried }: { tried: Schemas["TriedFilter"] }) {
  if (tried.data.length === 0) {
    return (
      <Text size="sm" c="dimmed">
        There are no events of these categories yet.
      </Text>
    );
  }
  return (
    <Stack gap={4}>
      <Text size="sm">
        {tried.passed} of the last {tried.data.length} would be sent.
      </Text>
      <div style={{ maxHeight: 240, overflowY: "auto" }} tabIndex={0} role="region" aria-label="What the filter says of the last events">
        <Table verticalSpacing={2} fz="xs">
          <Table.Tbody>
            {tried.data.map((event) => (
              <Table.Tr key={event.id} {...(event.passes ? {} : { c: "dimmed" })}>
                <Table.Td>{event.passes ? "sent" : "not sent"}</Table.Td>
                <Table.Td>{event.event}</Table.Td>
                <Table.Td className="break">{event.visitor_id}</Table.Td>
                <Table.Td>
                  <Time at={event.accepted_at} />
                </Table.Td>
                <Table.Td className="break">{event.error}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </div>
    </Stack>
  );
}
