import { NumberInput, Stack, Switch } from "@mantine/core";
import { fieldProblem } from "../../api/client";
import type { PartProps } from "./part";

/** How fast, how many at a time, and in which order. */
export function Pace({ values, set, error }: PartProps) {
  return (
    <Stack gap="md">
      <NumberInput
        label="Timeout"
        description="From connecting to the last byte of the answer."
        suffix=" s"
        min={1}
        max={300}
        allowDecimal={false}
        value={values.timeout}
        onChange={(value) => { set("timeout", value); }}
        error={fieldProblem(error, "timeout_s")}
      />
      <NumberInput
        label="Requests at a time"
        description="How many may be under way to this receiver."
        min={1}
        max={1000}
        allowDecimal={false}
        value={values.concurrency}
        onChange={(value) => { set("concurrency", value); }}
        error={fieldProblem(error, "concurrency")}
      />
      <NumberInput
        label="Requests a second at most"
        description="Empty: as many as the receiver takes."
        min={1}
        max={100_000}
        allowDecimal={false}
        value={values.rate}
        onChange={(value) => { set("rate", value); }}
        error={fieldProblem(error, "rate_limit_per_s")}
      />
      <Switch
        label="In order"
        description="Each visitor's events arrive one after the other, retries included. Other visitors' do not wait for them."
        checked={values.ordered}
        onChange={(event) => { set("ordered", event.currentTarget.checked); }}
      />
      {values.type === "url" && (
        <Switch
          label="Standard Webhooks headers"
          description="webhook-id, webhook-timestamp and webhook-signature, with a key of their own."
          checked={values.standardWebhooks}
          onChange={(event) => { set("standardWebhooks", event.currentTarget.checked); }}
        />
      )}
    </Stack>
  );
}
