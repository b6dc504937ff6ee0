import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { api, ask, type Schemas } from "../../api/client";
import { useChange } from "../../api/queries";
import { useWebhook, type Webhook, WEBHOOKS } from "../../api/webhooks";
import { Page } from "../../parts/page";
import { Failed, Waiting } from "../../parts/states";
import { WebhookForm } from "./form";
import { RotateKey } from "./signing-key";
import { valuesOf } from "./values";

const route = getRouteApi("/signed-in/webhooks/$id/edit");

export function EditWebhook() {
  const { id } = route.useParams();
  const webhook = useWebhook(id);
  if (webhook.isPending) return <Waiting />;
  if (webhook.data === undefined) return <Failed error={webhook.error} again={() => void webhook.refetch()} />;
  return <Edit key={id} webhook={webhook.data} />;
}

function Edit({ webhook }: { webhook: Webhook }) {
  const { id, name } = webhook;
  const navigate = useNavigate();
  const leave = (ignoreBlocker: boolean) => void navigate({ to: "/webhooks/$id", params: { id }, search: {}, ignoreBlocker });
  const change = useChange(
    (body: Schemas["WebhookInput"]) => ask(api.PATCH("/api/v1/webhooks/{id}", { params: { path: { id } }, body })),
    WEBHOOKS,
  );
  const save = { ...change, mutate: (body: Schemas["WebhookInput"]) => { change.mutate(body, { onSuccess: () => { leave(true); } }); } };
  // An empty end: one is set, of which nothing may be shown.
  const end = webhook.type === "segment" ? webhook.write_key_last4 : webhook.secret_last4;
  const secretEnd = webhook.secret_set === true || webhook.write_key_set === true ? (end ?? "") : undefined;
  const crumbs = [{ name: "Settings" }, { name: "Integrations" }, { name: "Webhooks", to: "/webhooks" }, { name, to: `/webhooks/${id}` }];
  return (
    <Page title={`Edit ${name}`} crumbs={crumbs}>
      <WebhookForm
        start={valuesOf(webhook)}
        id={id}
        secretEnd={secretEnd}
        save={save}
        action="Save"
        onCancel={() => { leave(false); }}
      >
        {webhook.type === "url" && <RotateKey webhook={webhook} />}
      </WebhookForm>
    </Page>
  );
}
