import { Stepper } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { useState } from "react";
import { useIsAdmin } from "../../api/queries";
import { Page } from "../../parts/page";
import { Empty } from "../../parts/states";
import { newSecret } from "../webhook-form/values";
import { Arrive } from "./arrive";
import { ChooseReceiver } from "./choose-receiver";
import { MakeWebhook } from "./make-webhook";
import type { Plan } from "./plan";

/** From nothing to an event that has arrived: a receiver, a webhook, an event. */
export function Start() {
  const isAdmin = useIsAdmin();
  const isNarrow = useMediaQuery("(max-width: 40em)");
  const [plan, setPlan] = useState<Plan>(() => ({ receiver: "inspector", url: "", secret: newSecret() }));
  const [webhook, setWebhook] = useState<string>();
  const [step, setStep] = useState(0);
  return (
    <Page title="Your first webhook" crumbs={[{ name: "Integrations", to: "/webhooks" }]}>
      {isAdmin ? (
        <Stepper active={step} size="sm" maw={860} orientation={isNarrow ? "vertical" : "horizontal"} allowNextStepsSelect={false}>
          <Stepper.Step label="A receiver" description="Where events go" allowStepSelect={false}>
            <ChooseReceiver plan={plan} onChosen={(chosen) => { setPlan(chosen); setStep(1); }} />
          </Stepper.Step>
          <Stepper.Step label="A webhook" description="What is sent there" allowStepSelect={false}>
            <MakeWebhook plan={plan} made={webhook} onMade={setWebhook} onBack={() => { setStep(0); }} onOn={() => { setStep(2); }} />
          </Stepper.Step>
          <Stepper.Step label="An event" description="See it arrive" allowStepSelect={false}>
            {webhook !== undefined && <Arrive plan={plan} webhook={webhook} />}
          </Stepper.Step>
        </Stepper>
      ) : (
        <Empty title="Webhooks are made by admins">An admin of your subscription can take this path.</Empty>
      )}
    </Page>
  );
}
