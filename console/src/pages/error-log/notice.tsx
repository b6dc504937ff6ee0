import { Anchor, Badge, Group, Stack, Text } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import type { Schemas } from "../../api/client";
import { Code } from "../../parts/code";
import { Copy } from "../../parts/copy";

type Notice = Schemas["Notice"];

/** What was done about a failing webhook, in a line. */
export function NoticeHead({ notice, what }: { notice: Notice; what: string }) {
  return (
    <Group gap="sm" wrap="wrap">
      <Badge variant="filled" color={what === "turned off" ? "red" : "orange"} radius="sm" tt="none" miw={76}>
        {what}
      </Badge>
      <Text size="sm" fw={600}>
        {notice.webhook_name ?? "a deleted webhook"}
      </Text>
      <Text size="sm" c="dimmed">
        {notice.reason}
      </Text>
      <Text size="xs" c="dimmed" component="span">
        {new Date(notice.at).toLocaleString("en")}
      </Text>
    </Group>
  );
}

/** Who was told, and after which answers of the receiver. */
export function NoticeBody({ notice }: { notice: Notice }) {
  return (
    <Stack gap="sm">
      <Group gap="lg">
        <Text size="sm">Mailed: {told(notice)}</Text>
        <Copy text={notice.text} label="Copy entry" />
      </Group>
      {notice.answers.map((answer) => (
        <Stack key={answer.delivery_id} gap={4}>
          <Group gap="sm">
            <Text size="sm" fw={600}>
              {answer.status ?? "no answer"}
            </Text>
            <Text size="sm">{answer.sentence}</Text>
            <Anchor component={Link} to={`/deliveries/${answer.delivery_id}`} size="sm">
              {new Date(answer.at).toLocaleString("en")}
            </Anchor>
          </Group>
          {answer.excerpt && <Code text={answer.excerpt} label="Beginning of the response body" />}
        </Stack>
      ))}
    </Stack>
  );
}

function told({ mailed, mailed_to }: Notice): string {
  if (mailed === "owner_has_left") return "nobody, because the owner is no longer a member";
  if (mailed === "no_owner") return "nobody, because the webhook has no owner";
  return mailed_to?.email ?? "the owner at that time";
}
