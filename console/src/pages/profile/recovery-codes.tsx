import { Button, Group, Stack, Text } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { Code } from "../../parts/code";
import { Copy } from "../../parts/copy";

/** What opens the account when the device is lost. Shown once. */
export function RecoveryCodes({ codes }: { codes: string[] }) {
  const client = useQueryClient();
  const text = codes.join("\n");
  return (
    <Stack gap="md">
      <Text size="sm">
        The second factor is on. Keep these codes where you find them without your device: each opens your account once, in place of a code. They are
        shown this once.
      </Text>
      <Code text={text} label="Recovery codes" />
      <Group>
        <Copy text={text} />
        <Button component="a" size="xs" variant="default" download="fanfare-recovery-codes.txt" href={`data:text/plain;charset=utf-8,${encodeURIComponent(`${text}\n`)}`}>
          Download
        </Button>
      </Group>
      <Group>
        <Button onClick={() => void client.invalidateQueries({ queryKey: ["session"] })}>I have kept them</Button>
      </Group>
    </Stack>
  );
}
