import { expect, test } from "vitest";
import batch from "./batch.json" with { type: "json" };
import { World } from "./world";

/** A test of the server takes this batch from the same file: so what is sent here is what is taken there. */
test("a batch is what the server's test takes", async () => {
  const world = new World();
  const bodies: unknown[] = [];
  world.answering = (_, body) => {
    bodies.push(JSON.parse(body));
    return { status: 200 };
  };
  const { agent } = world.page({ guides: false });
  agent.track("Looked Around");
  agent.identify({ visitor: { id: "ada", plan: "pro" }, account: { id: "acme", seats: 5 } });
  agent.track("Signed In", { by: "password", tries: 2 });
  await agent.flushNow();
  expect(bodies).toEqual([batch]);
});
