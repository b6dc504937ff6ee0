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
  // Generous, all of them: a loaded machine is no fault.
  timeout: 180_000,
  globalTimeout: 20 * 60_000,
  expect: { timeout: 45_000 },
  reporter: [["list"]],
  use: {
    ...devices["Desktop Chrome"],
    launchOptions: { executablePath: chromium() },
    locale: "en",
    actionTimeout: 45_000,
  },
});
