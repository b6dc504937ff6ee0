import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// Assets are named relative to the page's <base>, which the server sets: so the console works under any path.
export default defineConfig({
  base: "./",
  plugins: [react()],
  build: {
    outDir: "dist/site",
    target: "es2022",
    // They know light-dark(). What would be written for older ones needs a colour scheme that only the style sheet says.
    cssTarget: ["chrome123", "edge123", "firefox120", "safari17.5"],
    manifest: true,
    // An asset inside the page would need an exception in the content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { proxy: { "/api": process.env.FANFARE_SERVER ?? "http://127.0.0.1:8080" } },
  test: { environment: "node", include: ["src/**/*.test.ts"] },
});
