import { Button, Group, SimpleGrid, Stack, TextInput } from "@mantine/core";
import { useBlocker } from "@tanstack/react-router";
import { type ReactNode, useState } from "react";
import { fieldProblem, Refusal, type Schemas } from "../../api/client";
import { Refused } from "../../parts/states";
import { Categories } from "./categories";
import { Destination } from "./destination";
import { Further, FURTHER_FIELDS } from "./further";
import { TestPanel } from "./test-panel";
import { TestResult } from "./test-result";
import { useTest } from "./use-test";
import { inputOf, type Values } from "./values";

interface FormProps {
  start: Values;
  /** The stored webhook that is edited. */
  id?: string;
  /** The end of the secret or write key that is set; undefined when none is set. */
  secretEnd?: string | undefined;
  save: { mutate: (input: Schemas["WebhookInput"]) => void; isPending: boolean; isSuccess: boolean; error: unknown };
  action: string;
  onCancel: () => void;
  /** What else can be done with the stored webhook. */
  children?: ReactNode;
}

/** Fields at which a problem is shown; another one is shown above the buttons. */
const FIELDS = ["name", "type", "url", "secret", "secret_overlap_s", "write_key", "endpoint", "categories", ...FURTHER_FIELDS];

export function WebhookForm({ start, id, secretEnd, save, action, onCancel, children }: FormProps) {
  const [values, setValues] = useState(start);
  const [opened, setOpened] = useState<string[]>([]);
  const set = <Name extends keyof Values>(name: Name, value: Values[Name]) => {
    setValues((before) => ({ ...before, [name]: value }));
  };
  const isNew = id === undefined;
  const isChanged = JSON.stringify(values) !== JSON.stringify(start);
  useBlocker({
    shouldBlockFn: () => isChanged && !window.confirm("Leave without saving what you have changed?"),
    enableBeforeUnload: () => isChanged && !save.isSuccess,
  });
  const refused = save.error instanceof Refusal ? (save.error.problem.field ?? "").split(".")[0] : undefined;
  const test = useTest(inputOf(values, isNew), id);
  const part = { values, set, error: save.error };
  return (
    <>
      <SimpleGrid cols={{ base: 1, md: 2 }} spacing="xl" verticalSpacing="xl">
        <form
          onSubmit={(event) => {
            event.preventDefault();
            save.mutate(inputOf(values, isNew));
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
            <Destination {...part} isNew={isNew} secretEnd={secretEnd} />
            <Categories {...part} />
            <Further {...part} opened={opened} onOpen={setOpened} />
            {!(refused !== undefined && FIELDS.includes(refused)) && <Refused error={save.error} />}
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
        <Stack gap="lg">
          <TestPanel test={test} isReady={hasDestination(values, secretEnd)} />
          {children}
        </Stack>
      </SimpleGrid>
      <div aria-live="polite">{test.result && <TestResult result={test.result} id={id} />}</div>
    </>
  );
}

/** Whether there is anything to send a test to. */
function hasDestination({ type, url, writeKey }: Values, secretEnd: string | undefined): boolean {
  return type === "segment" ? writeKey !== "" || secretEnd !== undefined : url !== "";
}
