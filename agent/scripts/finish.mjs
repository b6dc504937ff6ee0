// After a build: puts a compressed copy beside each script, which is what browsers are sent, and fails when one takes more
// than it may. Every page of a product pays for them, so the bounds are part of what is promised.
import { readFileSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const MOST = { "fanfare.js": 10 * 1024, "guides.js": 20 * 1024 };
for (const [name, most] of Object.entries(MOST)) {
  const script = new URL(`../dist/script/${name}`, import.meta.url);
  const compressed = gzipSync(readFileSync(script), { level: 9 });
  writeFileSync(new URL(`../dist/script/${name}.gz`, import.meta.url), compressed);
  console.log(`${compressed.length} of at most ${most} bytes for ${name}, compressed`);
  if (compressed.length > most) process.exitCode = 1;
}
