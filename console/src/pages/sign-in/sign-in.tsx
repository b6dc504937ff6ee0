import { Alert, Anchor, Button, Divider, PasswordInput, PinInput, Select, Stack, Text, TextInput } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { api, ask, base, keepToken, Refusal, type Schemas } from "../../api/client";
import { queries } from "../../api/queries";
import { router } from "../../app/router";
import { Front } from "../../parts/front";
import { Refused } from "../../parts/states";

const route = getRouteApi("/sign-in");

/** What the server asked for beyond address and password. */
interface Wanted {
  code: boolean;
  subscriptions: Schemas["Subscription"][];
}

function wantedBy(error: unknown): Wanted | undefined {
  if (!(error instanceof Refusal)) return undefined;
  const { code, subscriptions } = error.problem;
  if (code === "code_needed") return { code: true, subscriptions: [] };
  if (code === "choose_subscription") return { code: false, subscriptions: subscriptions ?? [] };
  return undefined;
}

export function SignIn() {
  const { next } = route.useSearch();
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const [subscription, setSubscription] = useState<string | null>(null);
  const [wanted, setWanted] = useState<Wanted>({ code: false, subscriptions: [] });
  const methods = useQuery({ queryKey: ["sign-in-methods"], queryFn: () => ask(api.GET("/api/v1/sign-in-methods")) });
  const setUp = useQuery({ queryKey: ["set-up"], queryFn: () => ask(api.GET("/api/v1/set-up")) });
  const signIn = useMutation({
    mutationFn: () =>
      ask(
        api.POST("/api/v1/session", {
          body: {
            email,
            password,
            ...(code === "" ? {} : { code }),
            ...(subscription === null ? {} : { subscription_id: Number(subscription) }),
          },
        }),
      ),
    onSuccess: (session) => {
      keepToken(session.csrf_token);
      queries.setQueryData(["session"], session);
      router.history.push(next ?? router.buildLocation({ to: "/webhooks", search: {} }).publicHref);
    },
    onError: (error) => {
      const more = wantedBy(error);
      if (more) setWanted((before) => ({ code: before.code || more.code, subscriptions: more.subscriptions }));
    },
  });
  const provider = methods.data?.provider;
  return (
    <Front title="Sign in">
      {setUp.data?.needed === true && (
        <Alert color="violet" title="This installation is new">
          Nobody can sign in yet. Follow the set-up link that <code>fanfare</code> printed when it was started first.
        </Alert>
      )}
      <form
        onSubmit={(event) => {
          event.preventDefault();
          signIn.mutate();
        }}
      >
        <Stack gap="md">
          <TextInput
            label="E-mail address"
            type="email"
            autoComplete="username"
            required
            autoFocus
            value={email}
            onChange={(event) => { setEmail(event.currentTarget.value); }}
          />
          <PasswordInput
            label="Password"
            autoComplete="current-password"
            required
            value={password}
            onChange={(event) => { setPassword(event.currentTarget.value); }}
          />
          {wanted.code && (
            <Stack gap={4}>
              <Text size="sm" fw={500} id="code-label">
                Code of your authenticator app, or a recovery code
              </Text>
              {code.length <= 6 ? (
                <PinInput length={6} oneTimeCode type="alphanumeric" aria-labelledby="code-label" value={code} onChange={setCode} />
              ) : (
                <Text size="sm">{code}</Text>
              )}
              <TextInput
                aria-label="Recovery code"
                placeholder="Recovery code"
                onChange={(event) => { setCode(event.currentTarget.value); }}
              />
            </Stack>
          )}
          {wanted.subscriptions.length > 0 && (
            <Select
              label="Subscription"
              data={wanted.subscriptions.map(({ id, name }) => ({ value: String(id), label: name }))}
              value={subscription}
              onChange={setSubscription}
              required
            />
          )}
          {wantedBy(signIn.error) === undefined && <Refused error={signIn.error} />}
          <Button type="submit" loading={signIn.isPending}>
            Sign in
          </Button>
          <Anchor component={Link} to="/password-reset" size="sm">
            Forgot your password?
          </Anchor>
        </Stack>
      </form>
      {provider && (
        <>
          <Divider label="or" />
          <Button component="a" variant="default" href={new URL("api/v1/session/provider", base).href}>
            Sign in with {provider.name}
          </Button>
        </>
      )}
    </Front>
  );
}
