import { Button, Stack, TextInput } from "@mantine/core";
import { getRouteApi } from "@tanstack/react-router";
import { useState } from "react";
import { api, ask, fieldProblem } from "../../api/client";
import { Front } from "../../parts/front";
import { Refused } from "../../parts/states";
import { NewPassword } from "./new-password";
import { useEntry } from "./use-entry";

const route = getRouteApi("/invitation");

/** Somebody who was invited joins. */
export default function Invitation() {
  const { token = "" } = route.useSearch();
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const enter = useEntry(() =>
    ask(api.POST("/api/v1/invitation", { body: { token, password, ...(name === "" ? {} : { name }) } })),
  );
  return (
    <Front title="Accept the invitation">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          enter.mutate();
        }}
      >
        <Stack gap="md">
          <TextInput
            label="Your name"
            description="Leave it empty to keep the name that you were invited by."
            autoComplete="name"
            autoFocus
            value={name}
            onChange={(event) => { setName(event.currentTarget.value); }}
            error={fieldProblem(enter.error, "name")}
          />
          <NewPassword value={password} onChange={setPassword} error={enter.error} />
          <Refused error={enter.error} />
          <Button type="submit" loading={enter.isPending}>
            Join
          </Button>
        </Stack>
      </form>
    </Front>
  );
}
