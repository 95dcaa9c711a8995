/** A network whose clock a test can move on, on a local Solana that knows nothing of it. */

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type RunningChain, startChain } from "../../../localnet/chain/start-chain.ts";
import type { CatalogModel } from "../../../protocol/catalog.ts";
import { testSecrets } from "../../secrets.ts";
import { temporaryFolder } from "../support/children.ts";
import { Network } from "../support/network.ts";
import { ROOT } from "../support/server.ts";

const SLOT_MS = 20;
/** Where the entry module below takes the time from. */
const CLOCK = "/test/clock";
export const SECOND_OPERATOR = "key-of-the-second-operator";
const OPERATORS = `admin:${testSecrets.ADMIN_KEY} second:${SECOND_OPERATOR}`;

export class ClockedNetwork {
  readonly chain: RunningChain;
  readonly network: Network;

  private constructor(chain: RunningChain, network: Network) {
    this.chain = chain;
    this.network = network;
  }

  static async start(models: readonly CatalogModel[]): Promise<ClockedNetwork> {
    const chain = await startChain({ clock: "running", slotMs: SLOT_MS });
    const variables = { SOLANA_RPC_URL: chain.url, ADMIN_KEY: OPERATORS };
    return new ClockedNetwork(chain, await Network.start(models, variables, await clockedWorker()));
  }

  /** Moves the clock to a time in milliseconds since 1970; from there it goes on. */
  async setTime(time: number): Promise<void> {
    await this.network.call(`${CLOCK}?time=${time}`);
  }

  /** Pokes the platform's clock. */
  async poke(): Promise<void> {
    await this.network.server.harness.getWorker().scheduled({ cron: "* * * * *" });
  }

  /** Whether the stakes that count for an epoch are all in place. */
  async hasStakes(epoch: number): Promise<boolean> {
    const { DB } = await this.network.server.harness.getWorker<{ DB: D1 }>().getEnv();
    const query = DB.prepare("SELECT epoch FROM stake_snapshots WHERE epoch = ?").bind(epoch);
    return (await query.first()) !== null;
  }

  async close(): Promise<void> {
    await this.network.close();
    await this.chain.close();
  }
}

/** As much of D1 as a test needs. */
interface D1 {
  prepare(text: string): { bind(...values: unknown[]): { first(): Promise<unknown> } };
}

/** The Worker as it is, but for its clock. All its parts run in one isolate, so they have the same one. */
async function clockedWorker(): Promise<string> {
  const path = join(await temporaryFolder(), "worker.ts");
  const original = JSON.stringify(join(ROOT, "workers", "index.ts"));
  await writeFile(
    path,
    `import worker from ${original};
export { Account, AccountSlice, Relay, Scheduler } from ${original};
const real = Date.now.bind(Date);
let ahead = 0;
Date.now = () => real() + ahead;
export default {
  ...worker,
  fetch(request, env, context) {
    const url = new URL(request.url);
    if (url.pathname !== ${JSON.stringify(CLOCK)}) return worker.fetch(request, env, context);
    ahead = Number(url.searchParams.get("time")) - real();
    return new Response(new Date(Date.now()).toISOString());
  },
};
`,
  );
  return path;
}
