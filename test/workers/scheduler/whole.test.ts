import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import type { ScriptedJob } from "../../support/scripted-daemon.ts";
import {
  addDaemon,
  balance,
  chat,
  crash,
  credit,
  openAccount,
  openMarket,
  receiptsOf,
  supply,
  until,
} from "../job/network.ts";

const ACCOUNTS = 11;
const JOBS = 100;
const SLOTS = 50;
/** A restarted scheduler is whole within two seconds, and a loaded machine may take as long again. */
const WHOLE_MS = 4_000;

it("loses none of 1,000 waiting and 100 running jobs when its object is lost, and serves none twice", async () => {
  const { consumer, provider } = await openMarket();
  const others = await Promise.all(Array.from({ length: ACCOUNTS - 1 }, () => openAccount()));
  const accounts = [consumer, ...others];
  for (const account of accounts) await credit(account, "topup", "1", `paid-${account.account}`);
  const before = await Promise.all(accounts.map(({ apiKey }) => balance(apiKey)));
  const opened = Promise.withResolvers<void>();
  const onJob = async (job: ScriptedJob): Promise<void> => {
    job.accept();
    await opened.promise;
    job.text("word");
    job.done({ usage: { prompt: 10, completion: 1 } });
  };
  const daemons = await Promise.all(
    [1, 2].map((number) => addDaemon(provider, { number, offer: { slots: SLOTS }, onJob })),
  );
  const answers = accounts.flatMap(({ apiKey }) => Array.from({ length: JOBS }, () => chat(apiKey, { max_tokens: 1 })));
  const waiting = ACCOUNTS * JOBS - 2 * SLOTS;
  const isFull = async (): Promise<boolean> => {
    const now = await supply("test-model");
    return now.waiting === waiting && now.free === 0;
  };
  await until(isFull, "a full pool", 30_000);

  const evictedAt = performance.now();
  await crash(env.SCHEDULER.getByName("local/test-model"));
  await until(isFull, "a full pool again", 30_000);
  expect(performance.now() - evictedAt).toBeLessThan(WHOLE_MS);
  expect(daemons.flatMap(({ jobs }) => jobs)).toHaveLength(2 * SLOTS);

  opened.resolve();
  for (const response of await Promise.all(answers)) expect(response.status).toBe(200);
  const served = daemons.flatMap(({ jobs }) => jobs.map(({ job }) => job.job));
  expect(served).toHaveLength(ACCOUNTS * JOBS);
  expect(new Set(served)).toHaveLength(ACCOUNTS * JOBS);
  for (const [index, account] of accounts.entries()) {
    const receipts = await receiptsOf(account);
    expect(receipts).toHaveLength(JOBS);
    const charged = receipts.reduce((sum, { charge }) => sum + charge.millicredits, 0);
    const available = (before[index]?.available ?? 0) - charged;
    expect(await balance(account.apiKey)).toEqual({ available, held: 0 });
  }
}, 120_000);
