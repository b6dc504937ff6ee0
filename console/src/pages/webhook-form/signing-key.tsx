import { Button, Group, Paper, Select, Stack, Text, Title } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useState } from "react";
import { api, ask } from "../../api/client";
import { useChange } from "../../api/queries";
import { type Webhook, WEBHOOKS } from "../../api/webhooks";
import { Confirm } from "../../parts/confirm";
import { ShownOnce } from "../../parts/shown-once";
import { Time } from "../../parts/time";

const OVERLAPS = [
  { value: "0", label: "Not at all" },
  { value: "3600", label: "For an hour" },
  { value: "86400", label: "For a day" },
  { value: "604800", label: "For a week" },
];

/** The key of webhook-signature is replaced here, while the old one signs on for as long as receivers need. */
export function RotateKey({ webhook }: { webhook: Webhook }) {
  const { id } = webhook;
  const [overlap, setOverlap] = useState("86400");
  const [asking, { open, close }] = useDisclosure();
  const rotate = useChange(
    () => ask(api.POST("/api/v1/webhooks/{id}/signing-key/rotate", { params: { path: { id } }, body: { overlap_s: Number(overlap) } })),
    WEBHOOKS,
  );
  return (
    <Paper withBorder p="lg" component="section" aria-labelledby="signing-key">
      <Stack gap="md">
        <Title order={2} size="h4" id="signing-key">
          Signing key
        </Title>
        <Text size="sm" c="dimmed">
          By it a receiver checks <code>webhook-signature</code>. It was shown when the webhook was made; a new one is shown once, too.
          {webhook.old_signing_key_until && (
            <>
              {" "}
              The one before it signs until <Time at={webhook.old_signing_key_until} />.
            </>
          )}
        </Text>
        <Group align="flex-end">
          <Select label="The old key signs on" data={OVERLAPS} value={overlap} onChange={(chosen) => { setOverlap(chosen ?? "0"); }} allowDeselect={false} />
          <Button variant="default" onClick={open}>
            Make a new key
          </Button>
        </Group>
        <Confirm
          title="Make a new signing key?"
          action="Make it"
          opened={asking}
          onClose={close}
          confirm={{ ...rotate, mutate: () => { rotate.mutate(undefined, { onSuccess: close }); } }}
        >
          {overlap === "0"
            ? "Receivers that know only the old one refuse what is sent from then on."
            : "Both sign until the time that you chose is over: change your receivers by then."}
        </Confirm>
        {rotate.data?.signing_key && (
          <ShownOnce title="The new signing key" value={rotate.data.signing_key} onClose={() => { rotate.reset(); }}>
            It is shown this once: keep it where your receiver can read it.
          </ShownOnce>
        )}
      </Stack>
    </Paper>
  );
}
