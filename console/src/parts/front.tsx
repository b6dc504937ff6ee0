import { Center, Group, Paper, Stack, Text, Title } from "@mantine/core";
import { type ReactNode, useEffect } from "react";
import { base } from "../api/client";

/** A page for somebody who is not signed in. */
export function Front({ title, children }: { title: string; children: ReactNode }) {
  useEffect(() => {
    document.title = `${title} · Fanfare`;
  }, [title]);
  return (
    <Center mih="100vh" p="md">
      <Paper withBorder p="xl" radius="lg" w="100%" maw={440} component="main">
        <Stack gap="lg">
          <Group gap="sm">
            <img src={new URL("icon.svg", base).href} alt="" width={32} height={32} />
            <Text fw={700} size="lg">
              Fanfare
            </Text>
          </Group>
          <Title order={1} size="h3">
            {title}
          </Title>
          {children}
        </Stack>
      </Paper>
    </Center>
  );
}
