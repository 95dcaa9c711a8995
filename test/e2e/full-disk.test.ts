/** A daemon that cannot store its claims: nobody pays for what it cannot prove, and what it has stored is not lost. */

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { D1Database } from "@cloudflare/workers-types";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { cleanUp } from "./support/children.ts";
import { Daemon } from "./support/daemon.ts";
import { fillDisk, makeRoom, ON_FULL_DISK } from "./support/full-disk.ts";
import { type Balance, Network, type TestAccount, TOY_MODEL, until } from "./support/network.ts";
import { usageOf } from "./support/openai.ts";
import { rawChat } from "./support/raw-client.ts";
import { SLOWLY, type SlowEngine, startSlowEngine } from "./support/slow-engine.ts";
import { chunksOf, textOf } from "./support/sse.ts";

const TOY = TOY_MODEL.id;
const HI = { model: TOY, messages: [{ role: "user", content: "Hi" }] };
const SLOW_JOB = { model: TOY, messages: [{ role: "user", content: `Answer ${SLOWLY}` }], stream: true };

let network: Network;
let provider: TestAccount;
let engine: SlowEngine;
beforeAll(async () => {
  [network, engine] = await Promise.all([Network.start([TOY_MODEL]), startSlowEngine()]);
  provider = await network.open({ starter: false });
});
// Each test begins in a network without daemons.
afterEach(async () => {
  await cleanUp();
  await network.supply(TOY, 0);
});
afterAll(async () => {
  await cleanUp();
  await engine?.close();
  await network?.close();
});

const start = ({ flags = [], ...options }: { home?: string; through?: readonly string[]; flags?: string[] } = {}) =>
  Daemon.start(network, provider, { engine: [...engine.flags(TOY), ...flags], ...options });

const claimsOf = async ({ home }: Daemon): Promise<string[]> =>
  (await readdir(join(home, "claims"))).filter((name) => name.endsWith(".json"));

/** Everything that a daemon has in its claims' folder, by name. */
async function folderOf(home: string): Promise<Record<string, string>> {
  const folder = join(home, "claims");
  const names = await readdir(folder);
  const texts = await Promise.all(names.map((name) => readFile(join(folder, name), "utf8")));
  return Object.fromEntries(names.map((name, index) => [name, texts[index] ?? ""]));
}

/** A plain call that has to be answered; gives its job and what it cost. */
async function ask(consumer: TestAccount): Promise<ReturnType<typeof usageOf>> {
  const response = await network.chat(consumer, HI);
  const text = await response.text();
  expect(response.status, text).toBe(200);
  return usageOf((JSON.parse(text) as { usage: unknown }).usage);
}

const charged = async (consumer: TestAccount): Promise<number> =>
  (await network.receipts(consumer)).reduce((sum, { charge }) => sum + charge.millicredits, 0);

async function timesLogged(job: string): Promise<number | null> {
  const { DB } = await network.server.harness.getWorker<{ readonly DB: D1Database }>().getEnv();
  return await DB.prepare("SELECT COUNT(*) AS times FROM receipts WHERE job = ?").bind(job).first<number>("times");
}

/** What an account that began with the starter balance has after its receipts; holds may take a moment to end. */
async function expectConserved(consumer: TestAccount): Promise<void> {
  await until(async () => (await network.balance(consumer)).held === 0, "the end of the hold");
  const expected: Balance = { available: 1_200_000 - (await charged(consumer)), held: 0 };
  expect(await network.balance(consumer)).toEqual(expected);
}

describe.runIf(process.platform === "linux")("a daemon whose disk is full", () => {
  it("fails the job that it cannot claim, declines the next by name, and serves again when there is room", async () => {
    const consumer = await network.open();
    const daemon = await start();
    await network.supply(TOY, 1);
    const answer = await rawChat(network, consumer, SLOW_JOB);
    await answer.until("Half");
    fillDisk(daemon);
    engine.release();
    await answer.until("[DONE]");

    // The consumer hears that it broke, and pays nothing for what came until then.
    expect(textOf(chunksOf(answer.text()))).toMatch(/^Half an answer/);
    expect(chunksOf(answer.text()).at(-1)).toMatchObject({ error: { code: "stream_interrupted" } });
    const job = String(answer.headers["x-job-id"]);
    expect(await daemon.event("claim_not_stored", job)).toMatchObject({ reason: "EFBIG" });
    expect(await daemon.event("job_failed", job)).toMatchObject({ code: "claim_not_stored" });
    expect(await network.receipt(job, consumer)).toMatchObject({
      outcome: "failed",
      claim: null,
      charge: { nano_usd: 0, millicredits: 0 },
    });
    await expectConserved(consumer);

    // Nobody else is there: the answer says that its provider would not, and nothing is left behind.
    const refused = await network.chat(consumer, HI);
    expect(refused.status).toBe(502);
    expect(await refused.json()).toMatchObject({ error: { code: "provider_failed" } });
    const declined = await daemon.event("job_declined", refused.headers.get("x-job-id") ?? "");
    expect(declined).toMatchObject({ reason: "claims_not_writable" });
    await expectConserved(consumer);

    // Another daemon joins, which asks more: the job that the full one declines moves on, and its consumer sees nothing of it.
    const other = await start({ flags: ["--margin", "100"] });
    await network.supply(TOY, 2);
    const moved = await ask(consumer);
    expect(await daemon.event("job_declined", moved.receipt)).toMatchObject({ reason: "claims_not_writable" });
    expect(await network.receipt(moved.receipt, consumer)).toMatchObject({ daemon: await other.id() });
    other.signal("SIGTERM");
    expect(await other.exited).toMatchObject({ code: 0 });
    await network.supply(TOY, 1);

    makeRoom(daemon);
    const served = await ask(consumer);
    expect(await network.receipt(served.receipt, consumer)).toMatchObject({
      outcome: "completed",
      daemon: await daemon.id(),
    });
    await until(async () => (await claimsOf(daemon)).length === 0, "no claim that waits");
    const outcomes = (await network.receipts(consumer)).map(({ outcome }) => outcome);
    expect(outcomes).toEqual(["failed", "completed", "completed"]);
    await expectConserved(consumer);
  });

  it("does not start, touches no claim that it has stored, and brings it once when there is room", async () => {
    const consumer = await network.open();
    const { home, job } = await dieWithAClaim(consumer);
    const stored = await folderOf(home);

    const full = await start({ home, through: ON_FULL_DISK });
    expect(await full.exited).toMatchObject({ code: 5 });
    expect(full.stderr).toContain("Make room");
    expect(await folderOf(home)).toEqual(stored);

    const again = await start({ home });
    expect(await again.event("claim_settled", job)).toMatchObject({ outcome: "completed" });
    await until(async () => (await claimsOf(again)).length === 0, "no claim that waits");
    expect((await network.receipts(consumer)).filter((receipt) => receipt.job === job)).toHaveLength(1);
    await until(async () => (await timesLogged(job)) === 1, "the receipt in the log");
    await expectConserved(consumer);
  });
});

/**
 * A daemon that is killed after it has answered and before it hears that its claim is settled, which takes half a second.
 * On a busy machine the kill may come later than that, so it is tried again.
 */
async function dieWithAClaim(consumer: TestAccount): Promise<{ home: string; job: string }> {
  let home: string | undefined;
  for (let attempt = 0; attempt < 10; attempt++) {
    const daemon: Daemon = await start(home === undefined ? {} : { home });
    home = daemon.home;
    await network.supply(TOY, 1);
    const { receipt: job } = await ask(consumer);
    daemon.signal("SIGKILL");
    await daemon.exited;
    await network.supply(TOY, 0);
    if ((await claimsOf(daemon)).some((name) => name.startsWith(job))) return { home, job };
  }
  throw new Error("the network was always faster than the kill");
}
