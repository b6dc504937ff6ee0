import { ActionIcon, Button, Group, Paper, Select, Stack, TextInput } from "@mantine/core";
import { IconPlus, IconTrash } from "@tabler/icons-react";
import { Places } from "./places";
import { newChoice, POLLS, type PollValues, withRow } from "./values";

interface PollProps {
  poll: PollValues;
  /** For those who hear it. */
  name: string;
  isFirst: boolean;
  isLast: boolean;
  /** undefined takes it out. */
  onChange: (change: Partial<PollValues> | undefined) => void;
  onMove: (by: 1 | -1) => void;
}

const KINDS = Object.entries(POLLS).map(([value, label]) => ({ value, label }));

/** A question and its kind of answer. */
export function Poll({ poll, name, isFirst, isLast, onChange, onMove }: PollProps) {
  return (
    <Paper withBorder p="sm" bg="var(--mantine-color-body)">
      <Stack gap="sm">
        <Group align="flex-end" wrap="nowrap">
          <TextInput label="Question" required value={poll.question} onChange={(event) => { onChange({ question: event.currentTarget.value }); }} style={{ flex: 1 }} />
          <Places name={name} isFirst={isFirst} isLast={isLast} onMove={onMove} onRemove={() => { onChange(undefined); }} />
        </Group>
        <Select
          label="Answered with"
          data={KINDS}
          value={poll.type}
          onChange={(type) => {
            if (type === null) return;
            onChange({ type, ...(type === "PickList" && poll.choices.length === 0 ? { choices: [newChoice(), newChoice()] } : {}) });
          }}
          allowDeselect={false}
          maw={320}
        />
        {poll.type === "PickList" && <Choices poll={poll} name={name} onChange={onChange} />}
      </Stack>
    </Paper>
  );
}

function Choices({ poll, name, onChange }: Pick<PollProps, "poll" | "name" | "onChange">) {
  const setChoices = (choices: PollValues["choices"]) => { onChange({ choices }); };
  return (
    <Stack gap="xs">
      {poll.choices.map((choice, at) => (
        <Group key={choice.key} gap="xs" wrap="nowrap" maw={480}>
          <TextInput
            aria-label={`Answer ${at + 1} of ${name}`}
            placeholder={`Answer ${at + 1}`}
            required
            value={choice.text}
            onChange={(event) => { setChoices(withRow(poll.choices, choice.key, { text: event.currentTarget.value })); }}
            style={{ flex: 1 }}
          />
          <ActionIcon variant="subtle" color="red" aria-label={`Take answer ${at + 1} of ${name} out`} onClick={() => { setChoices(withRow(poll.choices, choice.key, undefined)); }}>
            <IconTrash size={16} />
          </ActionIcon>
        </Group>
      ))}
      <Group>
        <Button size="compact-xs" variant="default" leftSection={<IconPlus size={12} />} onClick={() => { setChoices([...poll.choices, newChoice()]); }}>
          Add an answer
        </Button>
      </Group>
    </Stack>
  );
}
