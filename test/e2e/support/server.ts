import { fileURLToPath } from "node:url";
import { createTestHarness } from "wrangler";
import { testSecrets } from "../../secrets.ts";

/** The folder of the project. */
export const ROOT = fileURLToPath(new URL("../../..", import.meta.url));

// Nothing in a test reports usage, fetches account data or looks for a newer version, however vitest was started.
Object.assign(process.env, {
  WRANGLER_SEND_METRICS: "false",
  WRANGLER_SEND_ERROR_REPORTS: "false",
  WRANGLER_HIDE_BANNER: "true",
  CLOUDFLARE_CF_FETCH_ENABLED: "false",
});

export type Server = Awaited<ReturnType<typeof startServer>>;

/** Starts the whole Worker on a free port, with fresh storage and its D1 migrations applied. */
export async function startServer(vars: Record<string, string> = {}) {
  const harness = createTestHarness({
    root: ROOT,
    workers: [{ configPath: "./wrangler.toml", vars, secrets: testSecrets }],
  });
  const { url } = await harness.listen();
  await harness.getWorker().applyD1Migrations("DB");
  return { url, harness, close: () => harness.close() };
}
