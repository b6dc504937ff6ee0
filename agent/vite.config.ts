import { defineConfig } from "vitest/config";
import manifest from "./package.json" with { type: "json" };

// Two builds of the same source: the script that pages load from the server, and the module for those who bundle.
export default defineConfig(({ mode }) => ({
  define: { __VERSION__: JSON.stringify(manifest.version) },
  build: {
    target: "es2020",
    ...(mode === "module"
      ? { outDir: "dist/module", minify: false, lib: { entry: "src/index.ts", formats: ["es"], fileName: () => "index.js" } }
      : { outDir: "dist/script", lib: { entry: "src/script.ts", formats: ["iife"], name: "fanfareScript", fileName: () => "fanfare.js" } }),
  },
  test: { environment: "node", include: ["tests/**/*.test.ts"] },
}));
