import { Button, Group, Stack, Text, TextInput } from "@mantine/core";
import { useState } from "react";
import { api, ask, fieldProblem } from "../../api/client";
import { useChange } from "../../api/queries";
import { Refused } from "../../parts/states";
import { CurrentPassword, isWrong } from "./current-password";
import { Section } from "./section";

export function ChangeEmail({ email: now }: { email: string }) {
  const [current, setCurrent] = useState("");
  const [email, setEmail] = useState("");
  const change = useChange(() => ask(api.PUT("/api/v1/session/email", { body: { current_password: current, email } })));
  const isAtField = isWrong(change.error) || fieldProblem(change.error, "email") !== undefined;
  return (
    <Section title="E-mail address">
      <Text size="sm" c="dimmed" className="break">
        It is {now}. A new one becomes yours when you have followed the link that is mailed to it.
      </Text>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          change.mutate(undefined);
        }}
      >
        <Stack gap="md">
          <TextInput label="New e-mail address" type="email" autoComplete="email" required value={email} onChange={(event) => { setEmail(event.currentTarget.value); }} error={fieldProblem(change.error, "email")} />
          <CurrentPassword value={current} onChange={setCurrent} error={change.error} />
          {!isAtField && <Refused error={change.error} />}
          <Group>
            <Button type="submit" loading={change.isPending}>
              Mail the link
            </Button>
            {change.isSuccess && (
              <Text size="sm" role="status">
                Sent to {email}.
              </Text>
            )}
          </Group>
        </Stack>
      </form>
    </Section>
  );
}
