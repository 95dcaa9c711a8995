import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createTestHarness } from "wrangler";
import { testSecrets } from "../secrets.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Starts the whole Worker on a free port, with fresh storage and its D1 migrations applied. */
export async function startServer(vars: Record<string, string> = {}) {
  const harness = createTestHarness({ root, workers: [{ configPath: "./wrangler.toml", vars, secrets: testSecrets }] });
  const { url } = await harness.listen();
  if (existsSync(join(root, "d1-migrations"))) await harness.getWorker().applyD1Migrations("DB");
  return { url, harness, close: () => harness.close() };
}
