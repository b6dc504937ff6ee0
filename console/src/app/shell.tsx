import { ActionIcon, AppShell, Burger, Group, Menu, NavLink, Text, useComputedColorScheme, useMantineColorScheme } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import {
  IconAlertTriangle,
  IconAppWindow,
  IconBan,
  IconBuilding,
  IconCode,
  IconEye,
  IconHistory,
  IconKey,
  IconListSearch,
  IconLogout,
  IconMail,
  IconMessage2,
  IconMoon,
  IconShieldLock,
  IconSun,
  IconUser,
  IconUserSearch,
  IconUsers,
  IconWebhook,
} from "@tabler/icons-react";
import { Link, Outlet, useNavigate } from "@tanstack/react-router";
import { base, api, ask, keepToken } from "../api/client";
import { queries, useSession } from "../api/queries";

/** The frame of every page for somebody who is signed in. */
export function Shell() {
  const [open, { toggle, close }] = useDisclosure();
  const { data: session } = useSession();
  return (
    <AppShell header={{ height: 56 }} navbar={{ width: 232, breakpoint: "sm", collapsed: { mobile: !open } }} padding="lg">
      <a href="#main" className="skip-link">
        Skip to the content
      </a>
      <AppShell.Header>
        <Group h="100%" px="md" justify="space-between" wrap="nowrap">
          <Group gap="xs" wrap="nowrap">
            <Burger opened={open} onClick={toggle} hiddenFrom="sm" size="sm" aria-label="Navigation" />
            <img src={new URL("icon.svg", base).href} alt="" width={28} height={28} />
            <Text fw={700} size="lg">
              Fanfare
            </Text>
            <Text c="dimmed" size="sm" truncate visibleFrom="xs">
              {session?.subscription.name}
            </Text>
          </Group>
          <Group gap="xs" wrap="nowrap">
            <ColorScheme />
            <Account />
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="sm" component="nav" aria-label="Pages">
        <Section name="Settings" />
        <Entry to="/webhooks" name="Integrations" icon={<IconWebhook size={18} />} onPick={close} />
        <Entry to="/error-log" name="Error Log" icon={<IconAlertTriangle size={18} />} onPick={close} />
        <Entry to="/apps" name="Apps" icon={<IconAppWindow size={18} />} onPick={close} />
        <Entry to="/keys" name="Integration keys" icon={<IconKey size={18} />} onPick={close} />
        <Entry to="/users" name="Users" icon={<IconUsers size={18} />} onPick={close} />
        <Entry to="/mails" name="Outbox" icon={<IconMail size={18} />} onPick={close} />
        <Entry to="/audit-log" name="Audit log" icon={<IconHistory size={18} />} onPick={close} />
        <Section name="Data" />
        <Entry to="/events" name="Events" icon={<IconListSearch size={18} />} onPick={close} />
        <Entry to="/guides" name="Guides" icon={<IconMessage2 size={18} />} onPick={close} />
        <Entry to="/visitors" name="Visitors" icon={<IconUserSearch size={18} />} onPick={close} />
        <Entry to="/accounts" name="Accounts" icon={<IconBuilding size={18} />} onPick={close} />
        <Entry to="/inspector" name="Inspector" icon={<IconEye size={18} />} onPick={close} />
        <Entry to="/exclusions" name="Exclusions" icon={<IconBan size={18} />} onPick={close} />
        <Entry to="/privacy" name="Privacy" icon={<IconShieldLock size={18} />} onPick={close} />
      </AppShell.Navbar>
      <AppShell.Main id="main" tabIndex={-1}>
        <Outlet />
      </AppShell.Main>
    </AppShell>
  );
}

function Section({ name }: { name: string }) {
  return (
    <Text size="xs" c="dimmed" fw={600} px="sm" pt="sm" pb={4} tt="uppercase">
      {name}
    </Text>
  );
}

interface EntryProps {
  to: "/webhooks" | "/error-log" | "/events" | "/apps" | "/keys" | "/users" | "/audit-log" | "/exclusions" | "/mails" | "/inspector" | "/guides" | "/visitors" | "/accounts" | "/privacy";
  name: string;
  icon: React.ReactNode;
  onPick: () => void;
}

function Entry({ to, name, icon, onPick }: EntryProps) {
  return (
    <Link to={to} search={{}} onClick={onPick} style={{ textDecoration: "none", color: "inherit" }} activeOptions={{ includeSearch: false }}>
      {({ isActive }) => <NavLink component="span" label={name} leftSection={icon} active={isActive} variant="light" />}
    </Link>
  );
}

function ColorScheme() {
  const { setColorScheme } = useMantineColorScheme();
  const shown = useComputedColorScheme("light");
  const other = shown === "light" ? "dark" : "light";
  return (
    <ActionIcon variant="subtle" size="lg" aria-label={`Use ${other} colours`} onClick={() => { setColorScheme(other); }}>
      {shown === "light" ? <IconMoon size={18} /> : <IconSun size={18} />}
    </ActionIcon>
  );
}

function Account() {
  const { data: session } = useSession();
  const navigate = useNavigate();
  async function signOut() {
    await ask(api.DELETE("/api/v1/session"));
    keepToken(undefined);
    queries.clear();
    await navigate({ to: "/sign-in", search: {} });
  }
  return (
    <Menu position="bottom-end" width={260}>
      <Menu.Target>
        <ActionIcon variant="subtle" size="lg" aria-label="Your account">
          <IconUser size={18} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>
          {session?.user.name} · {session?.user.email} · {session?.user.role}
        </Menu.Label>
        <Menu.Item component={Link} to="/profile" leftSection={<IconUser size={16} />}>
          Your account
        </Menu.Item>
        <Menu.Item component={Link} to="/api-reference" reloadDocument leftSection={<IconCode size={16} />}>
          API reference
        </Menu.Item>
        <Menu.Item leftSection={<IconLogout size={16} />} onClick={() => void signOut()}>
          Sign out
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
