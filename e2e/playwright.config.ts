import { defineConfig, devices } from "@playwright/test";
import { chromium } from "./support/chromium";

export default defineConfig({
  testDir: "stories",
  outputDir: "results",
  // A story has a server, a receiver and a browser of its own.
  fullyParallel: true,
  workers: 2,
  retries: 0,
  forbidOnly: true,
  timeout: 60_000,
  globalTimeout: 10 * 60_000,
  expect: { timeout: 15_000 },
  reporter: [["list"]],
  use: {
    ...devices["Desktop Chrome"],
    launchOptions: { executablePath: chromium() },
    locale: "en",
    actionTimeout: 10_000,
  },
});
