import { Button, Group, Modal, Stack, Text, TextInput } from "@mantine/core";
import { type ReactNode, useState } from "react";
import { Refused } from "./states";

interface ConfirmProps {
  title: string;
  opened: boolean;
  onClose: () => void;
  /** What happens. */
  children: ReactNode;
  /** What the button says. */
  action: string;
  /** The name that has to be typed first. */
  typed?: string;
  confirm: { mutate: () => void; isPending: boolean; error: unknown };
}

/** Asks before something that cannot be taken back. */
export function Confirm({ title, opened, onClose, children, action, typed, confirm }: ConfirmProps) {
  const [text, setText] = useState("");
  const ready = typed === undefined || text.trim() === typed.trim();
  return (
    <Modal opened={opened} onClose={onClose} title={title} centered>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (ready) confirm.mutate();
        }}
      >
        <Stack gap="md">
          <Text size="sm" component="div">
            {children}
          </Text>
          {typed !== undefined && (
            <TextInput
              label={`Type ${typed} to confirm`}
              value={text}
              onChange={(event) => { setText(event.currentTarget.value); }}
              autoComplete="off"
              data-autofocus
            />
          )}
          <Refused error={confirm.error} />
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" color="red" disabled={!ready} loading={confirm.isPending}>
              {action}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
