// The size gate: everything in dist, gzipped as musterd serves it, must fit in the budget.
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const BUDGET_BYTES = 150 * 1024;
const dist = fileURLToPath(new URL('../dist', import.meta.url));

function files(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? files(path) : [path];
  });
}

let total = 0;
for (const path of files(dist).sort()) {
  const bytes = gzipSync(readFileSync(path), { level: 9 }).length;
  total += bytes;
  console.log(`${String(bytes).padStart(8)}  ${relative(dist, path)}`);
}
console.log(`${String(total).padStart(8)}  gzipped in all, budget ${BUDGET_BYTES}`);
if (total > BUDGET_BYTES) {
  console.error('The console is over its size budget: drop a dependency or raise the budget on purpose.');
  process.exit(1);
}
