import { Button, Modal, Stack, Text } from "@mantine/core";
import { Code } from "./code";
import { Copy } from "./copy";

interface ShownOnceProps {
  title: string;
  /** What it is for. */
  children: React.ReactNode;
  value: string;
  onClose: () => void;
}

/** A secret that no later answer holds: it is closed by saying that it was kept. */
export function ShownOnce({ title, children, value, onClose }: ShownOnceProps) {
  return (
    <Modal opened onClose={onClose} title={title} centered closeOnClickOutside={false}>
      <Stack gap="md">
        <Text size="sm" component="div">
          {children}
        </Text>
        <Code text={value} label={title} />
        <Copy text={value} />
        <Button onClick={onClose}>I have kept it</Button>
      </Stack>
    </Modal>
  );
}
