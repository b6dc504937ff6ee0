// After a build: puts a compressed copy beside each text, which is what browsers are sent, and fails when the first page
// takes more than it may: the entry, and all that it imports at once.
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const MOST = 250 * 1024;
const dist = new URL("../dist/site/", import.meta.url);
const manifest = JSON.parse(readFileSync(new URL(".vite/manifest.json", dist), "utf8"));

// Nobody asks for it once this is done, and everything in the folder gets into the program.
rmSync(new URL(".vite", dist), { recursive: true });

const sizes = new Map();
/** A build for browsers without light-dark() leaves colours out, and nobody notices but those who look. */
function check(file, text) {
  if (text.includes("--lightningcss-")) throw new Error(`${file}: colours that depend on the scheme are lost`);
}

for (const file of readdirSync(new URL("assets/", dist)).filter((name) => /\.(js|css)$/.test(name))) {
  const text = readFileSync(new URL(`assets/${file}`, dist));
  if (file.endsWith(".css")) check(file, text);
  const compressed = gzipSync(text, { level: 9 });
  // A file of a few words grows by it.
  const isSmaller = compressed.length < text.length;
  if (isSmaller) writeFileSync(new URL(`assets/${file}.gz`, dist), compressed);
  sizes.set(`assets/${file}`, isSmaller ? compressed.length : text.length);
}

const first = new Set();
function add(name) {
  const { file, css = [], imports = [] } = manifest[name];
  if (first.has(file)) return;
  for (const needed of [file, ...css]) first.add(needed);
  imports.forEach(add);
}
for (const [name, chunk] of Object.entries(manifest)) if (chunk.isEntry) add(name);

const total = [...first].reduce((sum, file) => sum + sizes.get(file), 0);
for (const file of first) console.log(`${String(sizes.get(file)).padStart(8)}  ${file}`);
console.log(`${String(total).padStart(8)}  of at most ${MOST} bytes for the first page, compressed`);
if (total > MOST) process.exit(1);
