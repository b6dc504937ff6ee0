import { Anchor, Breadcrumbs, Group, Stack, Text, Title } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { type ReactNode, useEffect } from "react";

interface Crumb {
  name: string;
  to?: string;
}

interface PageProps {
  title: string;
  crumbs?: Crumb[];
  actions?: ReactNode;
  children: ReactNode;
}

/** A page: where it is, what it is called, what can be done, and its content. */
export function Page({ title, crumbs = [], actions, children }: PageProps) {
  useEffect(() => {
    document.title = `${title} · Fanfare`;
  }, [title]);
  return (
    <Stack gap="md" maw={1280} mx="auto">
      {crumbs.length > 0 && (
        <Breadcrumbs separator="›" separatorMargin={6}>
          {crumbs.map(({ name, to }) =>
            to === undefined ? (
              <Text key={name} size="sm" c="dimmed">
                {name}
              </Text>
            ) : (
              <Anchor key={name} component={Link} to={to} size="sm">
                {name}
              </Anchor>
            ),
          )}
        </Breadcrumbs>
      )}
      <Group justify="space-between" align="center">
        <Title order={1} size="h2" className="break">
          {title}
        </Title>
        {actions !== undefined && <Group gap="xs">{actions}</Group>}
      </Group>
      {children}
    </Stack>
  );
}
