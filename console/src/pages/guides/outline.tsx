import { List, Paper, Stack, Text, Title } from "@mantine/core";
import type { Guide } from "../../api/guides";
import { LAYOUTS, POLLS } from "./values";

/** A guide for those who may only read it. */
export function Outline({ guide }: { guide: Guide }) {
  return (
    <Stack gap="md">
      <Text size="sm">
        {LAYOUTS[guide.layout] ?? guide.layout}. {guide.pages.length === 0 ? "On every page" : `On ${guide.pages.join(", ")}`}, to{" "}
        {guide.audience == null ? "everybody" : `whom this holds for: ${guide.audience}`}, {guide.everyDays == null ? "once" : `again after ${guide.everyDays} days`}.
      </Text>
      {guide.steps.map((step, at) => (
        <Paper key={step.id} withBorder p="md">
          <Title order={2} size="h5">
            Step {at + 1}
          </Title>
          {step.text !== "" && (
            <Text size="sm" className="break" style={{ whiteSpace: "pre-wrap" }}>
              {step.text}
            </Text>
          )}
          {step.polls.length === 0 ? (
            <Text size="sm" c="dimmed">
              Nothing is asked.
            </Text>
          ) : (
            <List size="sm">
              {step.polls.map((poll) => (
                <List.Item key={poll.id}>
                  {poll.question} ({POLLS[poll.type] ?? poll.type}
                  {poll.choices?.length ? `: ${poll.choices.map(({ text }) => text).join(", ")}` : ""})
                </List.Item>
              ))}
            </List>
          )}
        </Paper>
      ))}
    </Stack>
  );
}
