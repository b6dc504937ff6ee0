import { Button, Group, Stack, Text, TextInput } from "@mantine/core";
import { useState } from "react";
import { fieldProblem } from "../../api/client";
import { Copy } from "../../parts/copy";
import { newSecret, type Values } from "./values";

interface SecretProps {
  values: Values;
  set: <Name extends keyof Values>(name: Name, value: Values[Name]) => void;
  isSet: boolean;
  error: unknown;
}

/** The secret is typed or made here, and never shown again once it is saved. */
export function Secret({ values, set, isSet, error }: SecretProps) {
  const [made, setMade] = useState(false);
  const says = values.dropSecret
    ? "It is taken away when you save; X-Pendo-Signature is sent no more."
    : isSet
      ? "One is set. Enter another one to replace it; left empty, it stays."
      : "With it the receiver can check X-Pendo-Signature. Any characters are allowed.";
  return (
    <Stack gap={6}>
      <TextInput
        label="Secret"
        description={says}
        value={values.secret}
        onChange={(event) => {
          setMade(false);
          set("secret", event.currentTarget.value);
        }}
        error={fieldProblem(error, "secret")}
        autoComplete="off"
        spellCheck={false}
      />
      <Group gap="xs">
        <Button
          size="xs"
          variant="default"
          onClick={() => {
            setMade(true);
            set("secret", newSecret());
          }}
        >
          Generate
        </Button>
        {values.secret !== "" && <Copy text={values.secret} />}
        {isSet && values.secret === "" && (
          <Button size="xs" variant="subtle" color="red" onClick={() => { set("dropSecret", !values.dropSecret); }}>
            {values.dropSecret ? "Keep it" : "Take it away"}
          </Button>
        )}
      </Group>
      {made && (
        <Text size="xs" c="dimmed">
          Copy it now: once it is saved, nobody can read it again.
        </Text>
      )}
    </Stack>
  );
}
