import { Button, Group, Paper, Stack, Text, Textarea, TextInput, Title } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { Places } from "./places";
import { Poll } from "./poll";
import { moved, newPoll, type StepValues, withRow } from "./values";

interface StepProps {
  step: StepValues;
  number: number;
  isLast: boolean;
  /** The guide points at an element of the page. */
  isTooltip: boolean;
  /** undefined takes it out. */
  onChange: (change: Partial<StepValues> | undefined) => void;
  onMove: (by: 1 | -1) => void;
}

/** One screen of a guide. */
export function Step({ step, number, isLast, isTooltip, onChange, onMove }: StepProps) {
  const setPolls = (polls: StepValues["polls"]) => { onChange({ polls }); };
  return (
    <Paper withBorder p="md" component="section" aria-label={`Step ${number}`}>
      <Stack gap="md">
        <Group justify="space-between">
          <Title order={2} size="h5">
            Step {number}
          </Title>
          <Places name={`step ${number}`} isFirst={number === 1} isLast={isLast} onMove={onMove} onRemove={() => { onChange(undefined); }} />
        </Group>
        <Textarea
          label="Text"
          description="Markdown: # headings, **bold**, *italic*, `code`, lists and [links](https://example.com)."
          autosize
          minRows={2}
          maxRows={20}
          value={step.text}
          onChange={(event) => { onChange({ text: event.currentTarget.value }); }}
        />
        {isTooltip && (
          <TextInput
            label="Beside which element"
            description="A CSS selector, like #share. Empty: in the middle of the page."
            spellCheck={false}
            value={step.element}
            onChange={(event) => { onChange({ element: event.currentTarget.value }); }}
          />
        )}
        {step.polls.length === 0 && (
          <Text size="sm" c="dimmed">
            Nothing is asked on this step.
          </Text>
        )}
        {step.polls.map((poll, at) => (
          <Poll
            key={poll.key}
            poll={poll}
            name={`question ${at + 1} of step ${number}`}
            isFirst={at === 0}
            isLast={at === step.polls.length - 1}
            onChange={(change) => { setPolls(withRow(step.polls, poll.key, change)); }}
            onMove={(by) => { setPolls(moved(step.polls, poll.key, by)); }}
          />
        ))}
        <Group>
          <Button size="xs" variant="default" leftSection={<IconPlus size={14} />} onClick={() => { setPolls([...step.polls, newPoll()]); }}>
            Add a question
          </Button>
        </Group>
      </Stack>
    </Paper>
  );
}
