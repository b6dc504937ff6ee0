import { useNavigate } from "@tanstack/react-router";
import { useDelete, type Webhook } from "../../api/webhooks";
import { Confirm } from "../../parts/confirm";

interface DeleteWebhookProps {
  webhook: Webhook;
  opened: boolean;
  onClose: () => void;
}

/** Asks for the webhook's name before it is gone for good. */
export function DeleteWebhook({ webhook, opened, onClose }: DeleteWebhookProps) {
  const navigate = useNavigate();
  const remove = useDelete(webhook.id);
  const confirm = {
    ...remove,
    mutate: () => {
      remove.mutate(undefined, {
        onSuccess: () => {
          onClose();
          void navigate({ to: "/webhooks", search: {} });
        },
      });
    },
  };
  return (
    <Confirm title="Delete this webhook?" action="Delete" typed={webhook.name} opened={opened} onClose={onClose} confirm={confirm}>
      <b>{webhook.name}</b> is removed for good, and what waits for it is cancelled. To stop sending without losing its
      configuration, turn it off instead.
    </Confirm>
  );
}
