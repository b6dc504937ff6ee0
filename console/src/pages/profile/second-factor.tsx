import { Badge, Button, Group, Stack, Text, TextInput } from "@mantine/core";
import { QRCodeSVG } from "qrcode.react";
import { useState } from "react";
import { api, ask, type Schemas } from "../../api/client";
import { useChange } from "../../api/queries";
import { Code } from "../../parts/code";
import { Refused } from "../../parts/states";
import { CurrentPassword, isWrong } from "./current-password";
import { RecoveryCodes } from "./recovery-codes";
import { Section } from "./section";

/** Signing in takes a code too, from an app on another device. */
export function SecondFactor({ isOn }: { isOn: boolean }) {
  return (
    <Section title="Second factor">
      <Group gap="xs">
        <Badge color={isOn ? "green" : "gray"} variant="light" radius="sm" tt="none">
          {isOn ? "on" : "off"}
        </Badge>
        <Text size="sm" c="dimmed">
          {isOn ? "Signing in takes a code of your authenticator app." : "With it, a stolen password alone opens nothing."}
        </Text>
      </Group>
      {isOn ? <End /> : <Begin />}
    </Section>
  );
}

/** First the password, then a code made from the seed, which shows that the app has it. */
function Begin() {
  const [current, setCurrent] = useState("");
  const begin = useChange(() => ask(api.POST("/api/v1/session/second-factor", { body: { current_password: current } })));
  if (begin.data !== undefined) return <Prove seed={begin.data} />;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        begin.mutate(undefined);
      }}
    >
      <Stack gap="md">
        <CurrentPassword value={current} onChange={setCurrent} error={begin.error} />
        {!isWrong(begin.error) && <Refused error={begin.error} />}
        <Group>
          <Button type="submit" loading={begin.isPending}>
            Turn it on
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

function Prove({ seed }: { seed: Schemas["SecondFactorSeed"] }) {
  const [code, setCode] = useState("");
  // The session is read again once the codes were kept: this part is then gone.
  const prove = useChange(() => ask(api.PUT("/api/v1/session/second-factor", { body: { code } })));
  if (prove.data !== undefined) return <RecoveryCodes codes={prove.data.recovery_codes} />;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        prove.mutate(undefined);
      }}
    >
      <Stack gap="md">
        <Text size="sm">Scan this with your authenticator app, then enter the code that it shows.</Text>
        <Group align="flex-start" gap="lg">
          <QRCodeSVG value={seed.url} size={168} marginSize={2} title="The seed for your authenticator app" />
          <Stack gap={4} miw={0} style={{ flex: 1 }}>
            <Text size="xs" c="dimmed">
              Or type this in:
            </Text>
            <Code text={seed.secret} label="The seed as text" />
          </Stack>
        </Group>
        <TextInput label="Code" autoComplete="one-time-code" inputMode="numeric" required value={code} onChange={(event) => { setCode(event.currentTarget.value.trim()); }} maw={200} />
        <Refused error={prove.error} />
        <Group>
          <Button type="submit" loading={prove.isPending}>
            Confirm
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

function End() {
  const [current, setCurrent] = useState("");
  const end = useChange(() => ask(api.DELETE("/api/v1/session/second-factor", { body: { current_password: current } })), ["session"]);
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        end.mutate(undefined);
      }}
    >
      <Stack gap="md">
        <CurrentPassword value={current} onChange={setCurrent} error={end.error} />
        {!isWrong(end.error) && <Refused error={end.error} />}
        <Group>
          <Button type="submit" variant="default" c="red" loading={end.isPending}>
            Turn it off
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
