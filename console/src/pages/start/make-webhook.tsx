import { Alert, Button, Group, Stack, Text, TextInput } from "@mantine/core";
import { IconAlertTriangle } from "@tabler/icons-react";
import { useState } from "react";
import { api, ask, fieldProblem } from "../../api/client";
import { useChange } from "../../api/queries";
import { WEBHOOKS } from "../../api/webhooks";
import { Refused } from "../../parts/states";
import type { Plan } from "./plan";

interface MakeWebhookProps {
  plan: Plan;
  /** It was made already, but could not be turned on. */
  made: string | undefined;
  onMade: (id: string) => void;
  onBack: () => void;
  onOn: () => void;
}

/** The second step: a webhook that is told of everything, and on. */
export function MakeWebhook({ plan, made, onMade, onBack, onOn }: MakeWebhookProps) {
  const [name, setName] = useState("My first webhook, all events");
  const make = useChange(async () => {
    const body = { name, url: plan.url, secret: plan.secret };
    const id = made ?? (await ask(api.POST("/api/v1/webhooks", { body: { ...body, type: "url", categories: "all" } }))).id;
    onMade(id);
    await ask(api.PATCH("/api/v1/webhooks/{id}", { params: { path: { id } }, body: { ...body, enabled: true } }));
  }, WEBHOOKS);
  const isAtField = fieldProblem(make.error, "name") !== undefined;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        make.mutate(undefined, { onSuccess: onOn });
      }}
    >
      <Stack gap="md" pt="md">
        <TextInput label="Name" required maxLength={255} value={name} onChange={(event) => { setName(event.currentTarget.value); }} error={fieldProblem(make.error, "name")} />
        <Text size="sm" className="break">
          Sends events of all categories to <b>{plan.url}</b>, signed with a secret and a key of its own. All of it can be changed later.
        </Text>
        <Alert color="yellow" variant="light" icon={<IconAlertTriangle size={18} />} title="Events can hold personal data">
          From now on what happens in your product is sent there. Use a destination that you trust.
        </Alert>
        {!isAtField && <Refused error={make.error} />}
        <Group>
          <Button type="submit" loading={make.isPending}>
            Add it and turn it on
          </Button>
          <Button variant="default" onClick={onBack}>
            Back
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
