import { Accordion, Button, Checkbox, Group, NumberInput, Paper, Radio, SimpleGrid, Stack, Switch, TextInput } from "@mantine/core";
import { useBlocker } from "@tanstack/react-router";
import { useState } from "react";
import { fieldProblem, Refusal, type Schemas } from "../../api/client";
import { CATEGORIES } from "../../api/words";
import { Refused } from "../../parts/states";
import { Secret } from "./secret";
import { TestPanel } from "./test-panel";
import { inputOf, type Values } from "./values";

interface FormProps {
  start: Values;
  /** The stored webhook that is edited. */
  id?: string;
  secretSet: boolean;
  save: { mutate: (input: Schemas["WebhookInput"]) => void; isPending: boolean; isSuccess: boolean; error: unknown };
  action: string;
  onCancel: () => void;
}

/** Fields at which a problem is shown; another one is shown above the buttons. */
const FIELDS = ["name", "url", "secret", "categories", "timeout_s", "concurrency"];

export function WebhookForm({ start, id, secretSet, save, action, onCancel }: FormProps) {
  const [values, setValues] = useState(start);
  const set = <Name extends keyof Values>(name: Name, value: Values[Name]) => {
    setValues((before) => ({ ...before, [name]: value }));
  };
  const isChanged = JSON.stringify(values) !== JSON.stringify(start);
  useBlocker({
    shouldBlockFn: () => isChanged && !save.isSuccess && !window.confirm("Leave without saving what you have changed?"),
    enableBeforeUnload: () => isChanged && !save.isSuccess,
  });
  const isShownAtField = save.error instanceof Refusal && FIELDS.includes(save.error.problem.field ?? "");
  return (
    <SimpleGrid cols={{ base: 1, md: 2 }} spacing="xl" verticalSpacing="xl">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          save.mutate(inputOf(values));
        }}
      >
        <Stack gap="lg">
          <TextInput
            label="Name"
            description="Where it goes and what is sent, so that others understand it."
            required
            maxLength={255}
            value={values.name}
            onChange={(event) => { set("name", event.currentTarget.value); }}
            error={fieldProblem(save.error, "name")}
          />
          <TextInput
            label="URL"
            description="http or https. It is used exactly as you enter it."
            placeholder="https://example.com/webhooks/fanfare"
            required
            value={values.url}
            onChange={(event) => { set("url", event.currentTarget.value); }}
            error={fieldProblem(save.error, "url")}
            spellCheck={false}
          />
          <Secret values={values} set={set} isSet={secretSet} error={save.error} />
          <Categories values={values} set={set} error={save.error} />
          <Advanced values={values} set={set} error={save.error} />
          {!isShownAtField && <Refused error={save.error} />}
          <Group>
            <Button type="submit" loading={save.isPending}>
              {action}
            </Button>
            <Button variant="default" onClick={onCancel}>
              Cancel
            </Button>
          </Group>
        </Stack>
      </form>
      <TestPanel input={inputOf(values)} isReady={values.url !== ""} {...(id === undefined ? {} : { id })} />
    </SimpleGrid>
  );
}

interface PartProps {
  values: Values;
  set: <Name extends keyof Values>(name: Name, value: Values[Name]) => void;
  error: unknown;
}

function Categories({ values, set, error }: PartProps) {
  return (
    <Radio.Group
      label="Event categories"
      value={values.all ? "all" : "some"}
      onChange={(chosen) => { set("all", chosen === "all"); }}
      error={fieldProblem(error, "categories")}
    >
      <Stack gap="xs" mt="xs">
        <Radio value="all" label="All event categories" description="Categories of later versions join by themselves." />
        <Radio value="some" label="Individual event categories" />
        {!values.all && (
          <Paper withBorder p="sm">
            <Checkbox.Group value={values.categories} onChange={(chosen) => { set("categories", chosen); }} aria-label="Categories">
              <SimpleGrid cols={2} spacing="xs">
                {Object.entries(CATEGORIES).map(([category, name]) => (
                  <Checkbox key={category} value={category} label={name} />
                ))}
              </SimpleGrid>
            </Checkbox.Group>
          </Paper>
        )}
      </Stack>
    </Radio.Group>
  );
}

function Advanced({ values, set, error }: PartProps) {
  return (
    <Accordion variant="contained">
      <Accordion.Item value="advanced">
        <Accordion.Control>Advanced</Accordion.Control>
        <Accordion.Panel>
          <Stack gap="md">
            <NumberInput
              label="Timeout"
              description="From connecting to the last byte of the answer."
              suffix=" s"
              min={1}
              max={300}
              allowDecimal={false}
              value={values.timeout}
              onChange={(value) => { set("timeout", value); }}
              error={fieldProblem(error, "timeout_s")}
            />
            <NumberInput
              label="Requests at a time"
              description="How many may be under way to this receiver."
              min={1}
              max={1000}
              allowDecimal={false}
              value={values.concurrency}
              onChange={(value) => { set("concurrency", value); }}
              error={fieldProblem(error, "concurrency")}
            />
            <Switch
              label="Standard Webhooks headers"
              description="webhook-id, webhook-timestamp and webhook-signature, with a key of their own."
              checked={values.standardWebhooks}
              onChange={(event) => { set("standardWebhooks", event.currentTarget.checked); }}
            />
          </Stack>
        </Accordion.Panel>
      </Accordion.Item>
    </Accordion>
  );
}
