import { defineConfig } from "vitest/config";
import manifest from "./package.json" with { type: "json" };

// Builds of the same source: the script that pages load from the server, the one that it loads when there is a guide to show,
// and the module for those who bundle.
const script = (entry: string, name: string) => ({
  outDir: "dist/script",
  emptyOutDir: false,
  lib: { entry, formats: ["iife" as const], name: `${name}Script`, fileName: () => `${name}.js` },
});

export default defineConfig(({ mode }) => ({
  define: { __VERSION__: JSON.stringify(manifest.version) },
  build: {
    target: "es2020",
    ...(mode === "module"
      ? { outDir: "dist/module", minify: false, lib: { entry: "src/index.ts", formats: ["es"], fileName: () => "index.js" } }
      : mode === "guides" ? script("src/guides-script.ts", "guides") : script("src/script.ts", "fanfare")),
  },
  test: { environment: "node", include: ["tests/**/*.test.ts"] },
}));
