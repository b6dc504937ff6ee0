import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { api, ask, type Schemas } from "../../api/client";

/** A test of what stands in a form. */
export interface Test {
  /** What is sent: the ping, or a sample of this event. */
  event: string;
  choose: (event: string) => void;
  send: () => void;
  isPending: boolean;
  error: unknown;
  result: Schemas["TestResult"] | undefined;
}

export function useTest(input: Schemas["WebhookInput"], id: string | undefined): Test {
  const [event, choose] = useState("ping");
  const test = useMutation({
    mutationFn: () => {
      const query = event === "ping" ? {} : { event };
      // A test needs no name, and one that is still empty would be refused.
      const { name, ...nameless } = input;
      const body = name === "" ? nameless : input;
      return id === undefined
        ? ask(api.POST("/api/v1/webhooks/test", { params: { query }, body }))
        : ask(api.POST("/api/v1/webhooks/{id}/test", { params: { path: { id }, query }, body }));
    },
  });
  const { isPending, error, data: result } = test;
  return { event, choose, send: () => { test.mutate(); }, isPending, error, result };
}
