import { Button, Group, Select, Stack, Text, TextInput } from "@mantine/core";
import { useState } from "react";
import { fieldProblem } from "../../api/client";
import { Copy } from "../../parts/copy";
import type { PartProps } from "./part";
import { newSecret } from "./values";

interface SecretProps extends PartProps {
  isNew: boolean;
  /** The last characters of the secret that is set; undefined when none is set. */
  end: string | undefined;
}

const OVERLAPS = [
  { value: "0", label: "Only the new one signs, at once" },
  { value: "1", label: "The old one can be checked with too, for an hour" },
  { value: "24", label: "The old one can be checked with too, for a day" },
  { value: "168", label: "The old one can be checked with too, for a week" },
];

/** The secret is typed or made here, and never shown again once it is saved. */
export function Secret({ values, set, isNew, end, error }: SecretProps) {
  const [made, setMade] = useState(false);
  const isSet = end !== undefined;
  const says = values.dropSecret
    ? "It is taken away when you save; X-Pendo-Signature is sent no more."
    : isSet
      ? `One is set${end === "" ? "" : `, ending in ${end}`}. Enter another one to replace it; left empty, it stays.`
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
      {!isNew && isSet && values.secret !== "" && (
        <Select
          label="While receivers change over"
          description="For webhook-signature; X-Pendo-Signature is made with the new one at once."
          data={OVERLAPS}
          value={values.overlap}
          onChange={(chosen) => { set("overlap", chosen ?? "0"); }}
          allowDeselect={false}
          error={fieldProblem(error, "secret_overlap_s")}
        />
      )}
    </Stack>
  );
}
