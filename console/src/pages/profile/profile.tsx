import { Button, Group, SimpleGrid, Stack, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useNavigate } from "@tanstack/react-router";
import { api, ask, keepToken } from "../../api/client";
import { queries, useChange, useSession } from "../../api/queries";
import { Confirm } from "../../parts/confirm";
import { Page } from "../../parts/page";
import { Waiting } from "../../parts/states";
import { ChangeEmail } from "./change-email";
import { ChangePassword } from "./change-password";
import { Section } from "./section";
import { SecondFactor } from "./second-factor";

/** What somebody does for their own account. */
export function Profile() {
  const { data: session } = useSession();
  if (!session) return <Waiting />;
  const { user } = session;
  return (
    <Page title="Your account">
      <Text size="sm" c="dimmed">
        {user.name}, {user.role} of {session.subscription.name}
      </Text>
      <SimpleGrid cols={{ base: 1, md: 2 }} spacing="lg">
        <Stack gap="lg">
          <ChangePassword />
          <ChangeEmail email={user.email} />
        </Stack>
        <Stack gap="lg">
          <SecondFactor isOn={user.second_factor} />
          <Everywhere />
        </Stack>
      </SimpleGrid>
    </Page>
  );
}

function Everywhere() {
  const [asking, { open, close }] = useDisclosure();
  const navigate = useNavigate();
  const end = useChange(() => ask(api.DELETE("/api/v1/sessions")));
  async function leave() {
    keepToken(undefined);
    queries.clear();
    await navigate({ to: "/sign-in", search: {} });
  }
  return (
    <Section title="Sessions">
      <Text size="sm" c="dimmed">
        Ends what is signed in anywhere with your account, this browser too. For a device that was lost.
      </Text>
      <Group>
        <Button variant="default" c="red" onClick={open}>
          Sign out everywhere
        </Button>
      </Group>
      <Confirm
        title="Sign out everywhere?"
        action="Sign out"
        opened={asking}
        onClose={close}
        confirm={{ ...end, mutate: () => { end.mutate(undefined, { onSuccess: () => void leave() }); } }}
      >
        You sign in again with your password.
      </Confirm>
    </Section>
  );
}
