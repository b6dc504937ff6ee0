import { asAdmin, expect, test } from "../support/story";

const KINDS = ["A number on a scale", "Yes or no", "Text", "One of several answers", "NPS: a rating from 0 to 10", "NPS: the reason for the rating"];

test("a guide with every kind of question is made and published, and receivers are told of it as it is there", async ({ page, fanfare, receiver }) => {
  await asAdmin(page, fanfare);
  await fanfare.webhook("CRM", receiver.url);
  await page.goto("/guides");
  await expect(page.getByRole("heading", { name: "No guides yet" })).toBeVisible();
  await page.getByRole("link", { name: "Add guide" }).click();
  await page.getByLabel("Name").fill("Quarterly survey");
  const step = page.getByRole("region", { name: "Step 1" });
  for (const [at, kind] of KINDS.entries()) {
    await step.getByRole("button", { name: "Add a question" }).click();
    await step.getByRole("textbox", { name: "Question", exact: true }).nth(at).fill(`Question ${at + 1}`);
    await step.getByRole("combobox", { name: "Answered with" }).nth(at).click();
    await page.getByRole("option", { name: kind }).click();
  }
  await step.getByRole("textbox", { name: "Answer 1 of question 4 of step 1" }).fill("Engineer");
  await step.getByRole("textbox", { name: "Answer 2 of question 4 of step 1" }).fill("Product Manager");
  await step.getByRole("button", { name: "Move question 2 of step 1 up" }).click();
  await step.getByLabel("Text").fill("# Hello\n\nA **minute**, please.");
  await page.getByRole("combobox", { name: "As" }).click();
  await page.getByRole("option", { name: "Banner" }).click();
  await page.getByLabel("Again after (days)").fill("90");
  await page.getByRole("textbox", { name: "Pages" }).fill("/settings/*\n/home");
  await page.getByLabel("Audience").fill("visitor.role == 'admin'");
  await page.getByRole("button", { name: "Make the draft" }).click();
  await expect(page.getByText("== compares an object with a text")).toBeVisible();
  await page.getByLabel("Audience").fill("visitor.agent.role == 'admin'");
  await page.getByRole("button", { name: "Make the draft" }).click();
  await expect(page.getByRole("heading", { name: "Quarterly survey" })).toBeVisible();
  await expect(page.getByLabel("Audience")).toHaveValue("visitor.agent.role == 'admin'");
  await page.getByRole("button", { name: "Publish" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Publish" }).click();
  await expect(page.getByText("published", { exact: true })).toBeVisible();

  const { data } = await fanfare.api<{ data: { id: string; steps: { id: string; polls: { id: string; type: string; question: string; choices?: { id: string }[] }[] }[] }[] }>("GET", "/guides");
  const [guide] = data;
  expect(guide).toMatchObject({ layout: "banner", pages: ["/settings/*", "/home"], everyDays: 90, startsAt: null, steps: [{ text: "# Hello\n\nA **minute**, please." }] });
  const polls = guide?.steps[0]?.polls ?? [];
  expect(polls.map(({ type }) => type)).toEqual(["PositiveNegative", "NumberScale", "FreeForm", "PickList", "NPSRating", "NPSReason"]);
  const choice = polls[3]?.choices?.[1]?.id;
  const item = { visitorId: "ann", accountId: "acme", browserTime: Date.now(), guideId: guide?.id, guideStepId: guide?.steps[0]?.id, language: "en" };
  await fanfare.agent([{ ...item, type: "pollResponse", responses: [{ pollId: polls[3]?.id, pollType: "PickList", response: choice, duration: 900 }] }]);
  const sent = await receiver.got("pollSubmitted");
  expect(sent.body).toContain("Quarterly survey");
  expect(sent.body).toContain("Product Manager");

  await page.getByLabel("Name").fill("");
  await page.getByLabel("Name").fill("Yearly survey");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByRole("heading", { name: "Yearly survey" })).toBeVisible();
  await page.getByRole("button", { name: "Archive" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Archive" }).click();
  await expect(page.getByText("archived", { exact: true })).toBeVisible();
});

test("a demo guide is published and answered on the demo page", async ({ page, context, fanfare, receiver }) => {
  await asAdmin(page, fanfare);
  await fanfare.webhook("Polls", receiver.url, { categories: ["polls"] });
  await page.goto("/guides");
  await page.getByRole("button", { name: "Publish a demo guide" }).click();
  const opened = context.waitForEvent("page");
  await page.getByRole("link", { name: "Answer it on the demo page" }).click();
  const demo = await opened;
  await demo.getByRole("radio", { name: "Engineer" }).check();
  await demo.getByRole("button", { name: "Send" }).click();
  expect((await receiver.got('"pollSubmitted"')).body).toContain('"response":"Engineer"');
});

test("what a guide cannot be is said by the server, and nothing is lost", async ({ page, fanfare }) => {
  await asAdmin(page, fanfare);
  await page.goto("/guides/new");
  await page.getByLabel("Name").fill("Reasons only");
  await page.getByRole("button", { name: "Add a question" }).click();
  await page.getByRole("textbox", { name: "Question", exact: true }).fill("Why?");
  await page.getByRole("combobox", { name: "Answered with" }).click();
  await page.getByRole("option", { name: "NPS: the reason" }).click();
  await page.getByRole("button", { name: "Make the draft" }).click();
  await expect(page.getByRole("alert")).toBeVisible();
  await expect(page.getByRole("textbox", { name: "Question", exact: true })).toHaveValue("Why?");
  page.once("dialog", (dialog) => void dialog.accept());
  await page.getByRole("button", { name: "Cancel" }).click();
  await expect(page.getByRole("heading", { name: "No guides yet" })).toBeVisible();
});
