import { useNavigate } from "@tanstack/react-router";
import { api, ask, type Schemas } from "../../api/client";
import { useChange } from "../../api/queries";
import { WEBHOOKS } from "../../api/webhooks";
import { Page } from "../../parts/page";
import { ShownOnce } from "../../parts/shown-once";
import { WebhookForm } from "./form";
import { NEW } from "./values";

const CRUMBS = [{ name: "Settings" }, { name: "Integrations" }, { name: "Webhooks", to: "/webhooks" }];

export function NewWebhook() {
  const navigate = useNavigate();
  const create = useChange((body: Schemas["WebhookInput"]) => ask(api.POST("/api/v1/webhooks", { body })), WEBHOOKS);
  const open = (id: string) => void navigate({ to: "/webhooks/$id", params: { id }, search: {}, ignoreBlocker: true });
  const save = {
    ...create,
    mutate: (body: Schemas["WebhookInput"]) => {
      create.mutate(body, { onSuccess: (made) => { if (!made.signing_key) open(made.id); } });
    },
  };
  return (
    <Page title="Add Webhook" crumbs={CRUMBS}>
      <WebhookForm
        start={NEW}
        save={save}
        action="Create"
        onCancel={() => void navigate({ to: "/webhooks", search: {} })}
      />
      {create.data?.signing_key && (
        <ShownOnce
          title={`${create.data.name} was created`}
          value={create.data.signing_key}
          onClose={() => { open(create.data.id); }}
        >
          This is its signing key, by which a receiver checks <code>webhook-signature</code>. It is shown this once: keep it
          where your receiver can read it. The webhook is off until you turn it on.
        </ShownOnce>
      )}
    </Page>
  );
}
