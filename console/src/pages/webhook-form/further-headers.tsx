import { ActionIcon, Button, Group, Stack, Text, TextInput } from "@mantine/core";
import { IconPlus, IconTrash } from "@tabler/icons-react";
import { fieldProblem } from "../../api/client";
import type { PartProps } from "./part";
import type { HeaderValue } from "./values";

/** Headers of the webhook's own. Their values are secrets: what is set is not shown. */
export function FurtherHeaders({ values, set, error }: PartProps) {
  const { headers } = values;
  const change = (at: number, to: Partial<HeaderValue>) => {
    set("headers", headers.map((header, index) => (index === at ? { ...header, ...to } : header)));
  };
  const problem = fieldProblem(error, "headers");
  return (
    <Stack gap="xs">
      <Text size="sm" fw={500}>
        Headers
      </Text>
      {headers.map((header, at) => (
        <Group key={at} gap="xs" wrap="nowrap" align="flex-end">
          <TextInput
            aria-label={`Name of header ${at + 1}`}
            placeholder="X-Api-Key"
            value={header.name}
            onChange={(event) => { change(at, { name: event.currentTarget.value, isSet: false }); }}
            spellCheck={false}
            style={{ flex: 1 }}
          />
          <TextInput
            aria-label={`Value of header ${at + 1}`}
            placeholder={header.isSet ? "Set; left empty, it stays" : "Value"}
            value={header.value}
            onChange={(event) => { change(at, { value: event.currentTarget.value }); }}
            autoComplete="off"
            spellCheck={false}
            style={{ flex: 1 }}
          />
          <ActionIcon variant="default" size="lg" aria-label={`Take header ${at + 1} away`} onClick={() => { set("headers", headers.filter((_, index) => index !== at)); }}>
            <IconTrash size={16} />
          </ActionIcon>
        </Group>
      ))}
      {problem !== undefined && (
        <Text size="xs" c="red" role="alert">
          {problem}
        </Text>
      )}
      <Group>
        <Button size="xs" variant="default" leftSection={<IconPlus size={14} />} onClick={() => { set("headers", [...headers, { name: "", value: "", isSet: false }]); }}>
          Add a header
        </Button>
      </Group>
    </Stack>
  );
}
