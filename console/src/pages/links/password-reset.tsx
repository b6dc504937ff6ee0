import { Alert, Button, Stack, Text, TextInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { api, ask } from "../../api/client";
import { Front } from "../../parts/front";
import { Refused } from "../../parts/states";
import { NewPassword } from "./new-password";

const route = getRouteApi("/password-reset");

/** Without a link it asks for one; with one it sets the password. */
export default function PasswordReset() {
  const { token } = route.useSearch();
  return token === undefined ? <AskForLink /> : <SetPassword token={token} />;
}

function AskForLink() {
  const [email, setEmail] = useState("");
  const forgot = useMutation({ mutationFn: () => ask(api.POST("/api/v1/password-reset", { body: { email } })) });
  return (
    <Front title="Forgot your password?">
      {forgot.isSuccess ? (
        <Alert color="green" title="Look into your mail">
          If somebody has this address, a link is on its way to it. It opens for an hour. Nothing came? Ask whoever runs
          this installation: they can make the link too.
        </Alert>
      ) : (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            forgot.mutate();
          }}
        >
          <Stack gap="md">
            <Text size="sm" c="dimmed">
              We send you a link with which you choose another one.
            </Text>
            <TextInput
              label="E-mail address"
              type="email"
              autoComplete="username"
              required
              autoFocus
              value={email}
              onChange={(event) => { setEmail(event.currentTarget.value); }}
            />
            <Refused error={forgot.error} />
            <Button type="submit" loading={forgot.isPending}>
              Send the link
            </Button>
          </Stack>
        </form>
      )}
    </Front>
  );
}

function SetPassword({ token }: { token: string }) {
  const [password, setPassword] = useState("");
  const navigate = useNavigate();
  const reset = useMutation({
    mutationFn: () => ask(api.PUT("/api/v1/password-reset", { body: { token, password } })),
    onSuccess: () => navigate({ to: "/sign-in", search: {} }),
  });
  return (
    <Front title="Choose another password">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          reset.mutate();
        }}
      >
        <Stack gap="md">
          <NewPassword value={password} onChange={setPassword} error={reset.error} />
          <Refused error={reset.error} />
          <Button type="submit" loading={reset.isPending}>
            Set the password
          </Button>
        </Stack>
      </form>
    </Front>
  );
}
