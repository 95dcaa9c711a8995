import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  createTestHarness,
  type Unstable_RawConfig as RawConfig,
  unstable_readConfig as readConfig,
  type TestHarness,
} from "wrangler";
import { schedulerName } from "../../../protocol/internal/names.ts";
import type { Supply } from "../../../protocol/internal/pool.ts";
import { calmly } from "../../calm-market.ts";
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

// What workerd's own tests are given by the environment would go before the variables of a test.
for (const name of Object.keys(testSecrets)) delete process.env[name];

/** The region of wrangler.toml. */
const REGION = "local";
type Bindings = { readonly SCHEDULER: { getByName(name: string): { supply(): Promise<Supply> } } };

/** Where undici, which is Node's HTTP client, says what it sends. */
const REQUESTS = "undici:client:sendHeaders";

export type Server = Awaited<ReturnType<typeof startServer>>;

/**
 * Starts the whole Worker on a free port, with fresh storage and its D1 migrations applied. `main` is the path of another
 * entry module than its own, which has to export what that exports.
 */
export async function startServer(vars: Record<string, string> = {}, main = join(ROOT, "workers", "index.ts")) {
  const harness = createTestHarness({ root: ROOT, workers: [{ config: configWith(vars, main) }] });
  const { url } = await harness.listen();
  await harness.getWorker().applyD1Migrations("DB");
  const supply = async (model: string): Promise<Supply> => {
    const { SCHEDULER } = await harness.getWorker<Bindings>().getEnv();
    return await SCHEDULER.getByName(schedulerName(REGION, model)).supply();
  };
  return { url, direct: await directUrl(harness), harness, supply, close: () => harness.close() };
}

/** The configuration of wrangler.toml, but for queues that wait for no further messages: tests wait for what they carry. */
function configWith(vars: Record<string, string>, main: string): RawConfig {
  const config: RawConfig = readConfig({ config: join(ROOT, "wrangler.toml") });
  const consumers = config.queues?.consumers?.map((consumer) => ({ ...consumer, max_batch_timeout: 0 })) ?? [];
  return {
    ...config,
    main,
    vars: { ...config.vars, ...testSecrets, ...vars, TOLLMILL_PARAMETERS: calmly(vars.TOLLMILL_PARAMETERS) },
    // They are among the variables.
    secrets: {},
    queues: { ...config.queues, consumers },
  };
}

/**
 * The Worker's own socket. The harness names only that of a development proxy, which keeps the Worker from seeing that a
 * client has gone before its answer began. Node's HTTP client tells whoever asks where its requests go.
 */
async function directUrl(harness: TestHarness): Promise<URL> {
  const path = "/direct";
  let origin = "";
  const watch = (message: unknown): void => {
    const { request } = message as { request: { path: string; origin: string } };
    if (request.path === path) origin = request.origin;
  };
  subscribe(REQUESTS, watch);
  await (await harness.getWorker().fetch(path)).text();
  unsubscribe(REQUESTS, watch);
  return new URL(origin);
}
