import { Anchor, Button, Group, Text } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import guide from "../../../../docs/demo-guide.json";
import { api, ask, base, Refusal } from "../../api/client";
import { GUIDES } from "../../api/guides";
import { Refused } from "../../parts/states";

/** The demo guide's id. */
export const DEMO = guide.id;

const params = { path: { id: DEMO } };

/** Publishes the guide of the demo page, made before if there is none yet. */
async function publish() {
  await ask(api.GET("/api/v1/guides/{id}", { params })).catch((error: unknown) => {
    if (!(error instanceof Refusal) || error.problem.status !== 404) throw error;
    return ask(api.POST("/api/v1/guides", { body: guide }));
  });
  await ask(api.POST("/api/v1/guides/{id}/publish", { params }));
}

/** A guide to try out, on a page that this server has for that; nothing where it has none. */
export function DemoGuide() {
  const page = new URL("demo", base).href;
  const client = useQueryClient();
  const isThere = useQuery({ queryKey: ["demo"], queryFn: async () => (await fetch(page, { method: "HEAD" })).ok });
  const make = useMutation({ mutationFn: publish, onSuccess: () => client.invalidateQueries({ queryKey: GUIDES }) });
  if (isThere.data !== true) return null;
  return (
    <div aria-live="polite">
      <Group gap="sm">
        {make.isSuccess ? (
          <Text size="sm">
            The demo guide is published.{" "}
            <Anchor href={page} target="_blank" inherit>
              Answer it on the demo page
            </Anchor>
            , and watch what arrives.
          </Text>
        ) : (
          <Button variant="default" size="xs" loading={make.isPending} onClick={() => { make.mutate(); }}>
            Publish a demo guide
          </Button>
        )}
      </Group>
      <Refused error={make.error} />
    </div>
  );
}
