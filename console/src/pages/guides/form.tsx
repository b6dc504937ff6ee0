import { Button, Group, Stack, TextInput } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useBlocker } from "@tanstack/react-router";
import { useState } from "react";
import { fieldProblem, type Schemas } from "../../api/client";
import { Refused } from "../../parts/states";
import { Showing } from "./showing";
import { Step } from "./step";
import { inputOf, moved, newStep, type Values, withRow } from "./values";

interface FormProps {
  start: Values;
  save: { mutate: (input: Schemas["GuideInput"]) => void; isPending: boolean; error: unknown };
  action: string;
  onCancel: () => void;
}

/** A guide with its steps, and what each of them asks. */
export function GuideForm({ start, save, action, onCancel }: FormProps) {
  const [values, setValues] = useState(start);
  const isChanged = JSON.stringify(inputOf(values)) !== JSON.stringify(inputOf(start));
  useBlocker({
    shouldBlockFn: () => isChanged && !window.confirm("Leave without saving what you have changed?"),
    enableBeforeUnload: isChanged,
  });
  const setSteps = (steps: Values["steps"]) => { setValues({ ...values, steps }); };
  const nameProblem = fieldProblem(save.error, "name");
  const isAtField = ["name", "layout", "audience", "pages", "everyDays", "startsAt", "endsAt"].some((field) => fieldProblem(save.error, field) !== undefined);
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        save.mutate(inputOf(values));
      }}
    >
      <Stack gap="lg" maw={860}>
        <TextInput label="Name" description="Receivers are told it, too." required maxLength={255} value={values.name} onChange={(event) => { setValues({ ...values, name: event.currentTarget.value }); }} error={nameProblem} />
        <Showing values={values.showing} error={save.error} onChange={(change) => { setValues({ ...values, showing: { ...values.showing, ...change } }); }} />
        {values.steps.map((step, at) => (
          <Step
            key={step.key}
            step={step}
            number={at + 1}
            isLast={at === values.steps.length - 1}
            isTooltip={values.showing.layout === "tooltip"}
            onChange={(change) => { setSteps(withRow(values.steps, step.key, change)); }}
            onMove={(by) => { setSteps(moved(values.steps, step.key, by)); }}
          />
        ))}
        <Group>
          <Button variant="default" leftSection={<IconPlus size={16} />} onClick={() => { setSteps([...values.steps, newStep()]); }}>
            Add a step
          </Button>
        </Group>
        <Refused error={isAtField ? null : save.error} />
        <Group>
          <Button type="submit" loading={save.isPending} disabled={!isChanged}>
            {action}
          </Button>
          <Button variant="default" onClick={onCancel}>
            Cancel
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
