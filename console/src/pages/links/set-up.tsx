import { Button, Stack, Text, TextInput } from "@mantine/core";
import { getRouteApi } from "@tanstack/react-router";
import { useState } from "react";
import { api, ask, fieldProblem } from "../../api/client";
import { Front } from "../../parts/front";
import { Refused } from "../../parts/states";
import { NewPassword } from "./new-password";
import { useEntry } from "./use-entry";

const route = getRouteApi("/setup");

/** The first admin, made by the link that the server printed when it was started first. */
export default function SetUp() {
  const { token = "" } = route.useSearch();
  const [email, setEmail] = useState("");
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const enter = useEntry(() => ask(api.POST("/api/v1/set-up", { body: { token, email, name, password } })));
  return (
    <Front title="Set up this installation">
      <Text size="sm" c="dimmed">
        You become its first admin. Everybody else is invited by you.
      </Text>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          enter.mutate();
        }}
      >
        <Stack gap="md">
          <TextInput
            label="Your name"
            autoComplete="name"
            required
            autoFocus
            value={name}
            onChange={(event) => { setName(event.currentTarget.value); }}
            error={fieldProblem(enter.error, "name")}
          />
          <TextInput
            label="E-mail address"
            type="email"
            autoComplete="username"
            required
            value={email}
            onChange={(event) => { setEmail(event.currentTarget.value); }}
            error={fieldProblem(enter.error, "email")}
          />
          <NewPassword value={password} onChange={setPassword} error={enter.error} />
          <Refused error={enter.error} />
          <Button type="submit" loading={enter.isPending}>
            Create the account
          </Button>
        </Stack>
      </form>
    </Front>
  );
}
