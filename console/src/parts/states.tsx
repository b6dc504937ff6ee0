import { Alert, Button, Center, Loader, Stack, Text, Title } from "@mantine/core";
import { IconAlertCircle } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { inWords } from "../api/client";

/** While something is being read for the first time. */
export function Waiting() {
  return (
    <Center p="xl">
      <Loader aria-label="Loading" />
    </Center>
  );
}

/** Something could not be read. */
export function Failed({ error, again }: { error: unknown; again?: () => void }) {
  return (
    <Alert color="red" icon={<IconAlertCircle size={18} />} title="This could not be loaded" role="alert">
      <Stack gap="sm" align="flex-start">
        <Text size="sm">{inWords(error)}</Text>
        {again && (
          <Button size="xs" variant="light" color="red" onClick={again}>
            Try again
          </Button>
        )}
      </Stack>
    </Alert>
  );
}

/** A change was refused. */
export function Refused({ error }: { error: unknown }) {
  if (error === null || error === undefined) return null;
  return (
    <Alert color="red" icon={<IconAlertCircle size={18} />} role="alert">
      {inWords(error)}
    </Alert>
  );
}

/** A list has no rows: says why, and what to do. */
export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <Center py={48}>
      <Stack gap="xs" align="center" maw={520} ta="center">
        <Title order={3} size="h4">
          {title}
        </Title>
        <Text c="dimmed" size="sm" component="div">
          {children}
        </Text>
      </Stack>
    </Center>
  );
}

export function NotFound() {
  return (
    <Empty title="There is nothing here">
      The link may be old, or what it led to was deleted.{" "}
      <Link to="/webhooks" search={{}} className="link">
        Go to your webhooks
      </Link>
      .
    </Empty>
  );
}
