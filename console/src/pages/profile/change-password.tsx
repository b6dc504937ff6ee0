import { Button, Group, Stack, Text } from "@mantine/core";
import { useState } from "react";
import { api, ask, fieldProblem } from "../../api/client";
import { useChange } from "../../api/queries";
import { Refused } from "../../parts/states";
import { NewPassword } from "../links/new-password";
import { CurrentPassword, isWrong } from "./current-password";
import { Section } from "./section";

export function ChangePassword() {
  const [current, setCurrent] = useState("");
  const [password, setPassword] = useState("");
  const change = useChange(() => ask(api.PUT("/api/v1/session/password", { body: { current_password: current, password } })));
  const isAtField = isWrong(change.error) || fieldProblem(change.error, "password") !== undefined;
  function changed() {
    setCurrent("");
    setPassword("");
  }
  return (
    <Section title="Password">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          change.mutate(undefined, { onSuccess: changed });
        }}
      >
        <Stack gap="md">
          <CurrentPassword value={current} onChange={setCurrent} error={change.error} />
          <NewPassword value={password} onChange={setPassword} error={change.error} />
          {!isAtField && <Refused error={change.error} />}
          <Group>
            <Button type="submit" loading={change.isPending}>
              Change the password
            </Button>
            {change.isSuccess && (
              <Text size="sm" role="status">
                Changed. Other browsers were signed out.
              </Text>
            )}
          </Group>
        </Stack>
      </form>
    </Section>
  );
}
