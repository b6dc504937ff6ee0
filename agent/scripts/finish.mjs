// After a build: puts a compressed copy beside the script, which is what browsers are sent, and fails when it takes more
// than it may. Every page of a product pays for it, so the bound is part of what is promised.
import { readFileSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const MOST = 10 * 1024;
const script = new URL("../dist/script/fanfare.js", import.meta.url);
const compressed = gzipSync(readFileSync(script), { level: 9 });
writeFileSync(new URL("../dist/script/fanfare.js.gz", import.meta.url), compressed);
console.log(`${compressed.length} of at most ${MOST} bytes for the script, compressed`);
if (compressed.length > MOST) process.exit(1);
