/** Relays that are lost with everything in their memory: nothing is charged for what ran there. */

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { relayOf } from "../../../protocol/internal/names.ts";
import { answering } from "../../support/scripted-daemon.ts";
import { cleanUp, temporaryFolder } from "../support/children.ts";
import { Network, until } from "../support/network.ts";
import { ROOT } from "../support/server.ts";
import { expectEnd } from "./support/end.ts";
import { allRead, gate, lateClaim, Market, PROMPT, price, SLOTS, seen } from "./support/market.ts";

const USAGE = { prompt: PROMPT, completion: 2, relayed: 2 };
const COMPLETED = { outcome: "completed", usage: USAGE, charge: price(USAGE), told: "settled", daemon: 1 } as const;
const ANSWER = { status: 200, text: "Hello there", reason: "stop", error: null };
const answer = answering(["Hello", " there"]);

/** As many relays as a region can have, so that each daemon has its own and no test loses another one's. */
const SHARDS = 1_024;

let network: Network;
beforeAll(async () => {
  network = await Network.start([], { RELAY_SHARDS: String(SHARDS) }, await losableWorker());
});
afterAll(async () => {
  await network?.close();
  await cleanUp();
});

/** The Worker as it is, but for relays that a test can lose, as the loss of their machine would. */
async function losableWorker(): Promise<string> {
  const path = join(await temporaryFolder(), "worker.ts");
  const original = JSON.stringify(join(ROOT, "workers", "index.ts"));
  await writeFile(
    path,
    `import worker, { Relay as Original } from ${original};
export { Account, AccountSlice, Scheduler } from ${original};
export class Relay extends Original {
  async lose() {
    this.ctx.abort("lost");
  }
}
export default worker;
`,
  );
  return path;
}

/** Takes the relay of a market's first daemon away, and with it the daemon's connection. */
async function loseRelay(market: Market): Promise<void> {
  type Bindings = { readonly RELAY: { getByName(name: string): { lose(): Promise<void> } } };
  const { RELAY } = await network.server.harness.getWorker<Bindings>().getEnv();
  // The call is lost with it.
  await RELAY.getByName(relayOf("local", market.daemon().key.id, SHARDS))
    .lose()
    .catch(() => {});
  await market.daemon().closed;
}

/** A market whose daemon accepts a job and says some words. */
async function serving(stream: boolean, words: readonly string[]) {
  const said = gate();
  const market: Market = await Market.open(network, async (job) => {
    job.accept();
    for (const word of words) job.text(word);
    await allRead(job.daemon);
    said.open();
  });
  const call = market.ask({ stream });
  await said.opened;
  return { market, call };
}

describe.concurrent("a relay that is lost", () => {
  it.for([
    { what: "before the first token", stream: true, words: [] },
    { what: "before the first token", stream: false, words: [] },
    { what: "before a plain answer was whole", stream: false, words: ["Hello"] },
  ])("$what charges nothing, and the job moves on (stream: $stream)", async ({ stream, words }) => {
    const { market, call } = await serving(stream, words);
    await loseRelay(market);
    await market.join(answer);
    expect(await seen(call)).toEqual(ANSWER);
    await market.rejoin(0);
    await expectEnd(market, market.job(1).job.job, COMPLETED);
  });

  it("after the first token charges nothing, once its daemon is back with a claim", async () => {
    const { market } = await serving(true, ["Hello", " there"]);
    const lost = market.job();
    await loseRelay(market);
    const back = await market.rejoin(0);
    back.send(lateClaim(lost));
    await expectEnd(market, lost.job.job, { outcome: null, charge: 0, told: { refused: "voided" } });
  });

  it("after the first token charges nothing, once its daemon is back and names the job as lost", async () => {
    const { market } = await serving(true, ["Hello", " there"]);
    const { job, ticket } = market.job().job;
    await loseRelay(market);
    const back = await market.rejoin(0);
    back.send({ type: "failed", job, ticket, code: "connection_lost", message: "" });
    await expectEnd(market, job, { outcome: null, charge: 0, told: "nothing" });
  });

  it("after the first token ends its stream with an error event", async () => {
    const { market, call } = await serving(true, ["Hello", " there"]);
    await (await call.answer).until("there");
    const { job } = market.job().job;
    await loseRelay(market);
    const error = "stream_interrupted";
    expect(await seen(call)).toEqual({ status: 200, text: "Hello there", reason: "error", error });
    await market.rejoin(0);
    await expectEnd(market, job, { outcome: null, charge: 0, told: "nothing" });
  });

  it("costs a later job one move at most, where its daemon stays away: then the pool forgets it", async () => {
    const market = await Market.open(network, answer);
    // A pool that starts asks its relays who is there: this one has started.
    expect(await seen(market.ask())).toEqual(ANSWER);
    await loseRelay(market);
    await market.join(answer);
    // Both are idle, so that of some jobs one goes to the daemon that is not there; how many, their order decides.
    await until(async () => {
      expect(await seen(market.ask())).toEqual(ANSWER);
      return (await network.pool(market.model)).daemons === 1;
    }, "the pool to forget it");
    await until(async () => (await network.pool(market.model)).free === SLOTS, "all slots of the other one");
    expect(await network.pool(market.model)).toMatchObject({ slots: SLOTS, waiting: 0 });
  });
});
