/** How a job has ended, looked at from every side that can see it. */

import { expect } from "vitest";
import type { Outcome } from "../../../../core/outcome.ts";
import type { ReceiptBody } from "../../../../core/receipt/body.ts";
import { job as jobShape } from "../../../../protocol/network/jobs.ts";
import type { ScriptedDaemon } from "../../../support/scripted-daemon.ts";
import { until } from "../../support/network.ts";
import { type Market, SLOTS } from "./market.ts";

/** What a consumer starts with, in millicredits. */
const STARTER = 1_200_000;

/** A row of the table: what the job's end means for everybody. */
export interface End {
  /** The receipt's outcome; null for a job that leaves no receipt. */
  readonly outcome: Outcome | null;
  /** What the consumer pays, in millicredits. */
  readonly charge: number;
  /** What the receipt bills and what was relayed; nothing where it is left out. */
  readonly usage?: Partial<ReceiptBody["usage"]>;
  /** Who served it: an index of the market's daemons. */
  readonly daemon?: number;
  /** What the daemon that served it was told: that it is settled, why its claim was refused, or nothing. */
  readonly told: "settled" | "nothing" | { readonly refused: string };
}

/** Waits for the end of a market's one job, and checks all of it: balance, receipt, provider's view, pool, daemon. */
export async function expectEnd(market: Market, job: string, end: End): Promise<void> {
  const { network, consumer } = market;
  await expectTold(market.daemon(end.daemon), job, end);
  await until(async () => (await network.balance(consumer)).held === 0, "the end of the hold");
  const receipts = await network.receipts(consumer);
  expect(receipts.map((receipt) => receipt.job)).toEqual(end.outcome === null ? [] : [job]);
  await expectFreePool(market, end);
  if (end.outcome === null) await expectNoReceipt(market, job);
  else await expectReceipt(market, job, end.outcome, end);
  // Whatever came after the hold's end has changed nothing.
  expect(await network.balance(consumer)).toEqual({ available: STARTER - end.charge, held: 0 });
  expect(await network.receipts(consumer)).toEqual(receipts);
  expectToldNothingElse(market.daemon(end.daemon), job, end);
}

async function expectReceipt(market: Market, job: string, outcome: Outcome, end: End): Promise<void> {
  const { network, model, consumer, provider } = market;
  const receipt = await network.receipt(job, consumer);
  expect(receipt).toMatchObject({
    outcome,
    model,
    provider: provider.account,
    daemon: market.daemon(end.daemon).key.id,
    usage: { prompt: 0, completion: 0, relayed: 0, ...end.usage },
    charge: { nano_usd: end.charge, millicredits: end.charge },
  });
  // Unbacked credits pay: the provider's 95 % and the network's 5 % are owed in credits, and come to the charge.
  expect(receipt.charge.parts.map(({ kind }) => kind)).toEqual(end.charge === 0 ? [] : ["bonus"]);
  expect(receipt.split.reduce((sum, line) => sum + line.millicredits, 0)).toBe(end.charge);
  const share = receipt.split.find(({ role }) => role === "provider");
  expect(share?.to ?? provider.account).toBe(provider.account);
  expect(Math.abs((share?.millicredits ?? 0) - end.charge * 0.95)).toBeLessThan(1);
  // The provider reads the same receipt in the log.
  await until(async () => (await network.call(`/api/v1/receipts/${job}`, { apiKey: provider.apiKey })).ok, "the log");
  expect(await network.receipt(job, provider)).toEqual(receipt);
}

async function expectNoReceipt({ network, consumer, provider }: Market, job: string): Promise<void> {
  for (const { apiKey } of [consumer, provider]) {
    expect((await network.call(`/api/v1/receipts/${job}`, { apiKey })).status).toBe(404);
  }
  expect(await network.json(`/api/v1/jobs/${job}`, jobShape, { apiKey: consumer.apiKey })).toMatchObject({
    state: "voided",
    receipt: null,
  });
}

async function expectTold(daemon: ScriptedDaemon, job: string, { told, outcome }: End): Promise<void> {
  if (told === "nothing") return;
  if (told === "settled") {
    const { receipt } = await daemon.next("settled", (message) => message.job === job);
    expect(receipt?.outcome).toBe(outcome);
  } else {
    const { reason } = await daemon.next("refused", (message) => message.job === job);
    expect(reason).toBe(told.refused);
  }
}

function expectToldNothingElse({ received }: ScriptedDaemon, job: string, { told }: End): void {
  const words = received.filter((message) => "job" in message && message.job === job && message.type !== "job");
  const expected = told === "settled" ? ["settled"] : told === "nothing" ? [] : ["refused"];
  expect([...new Set(words.map(({ type }) => type))]).toEqual(expected);
}

/** Every slot is free again, and in the pool still, but for a daemon's that has failed a check: it gets no jobs any more. */
async function expectFreePool({ network, model, known }: Market, { outcome }: End): Promise<void> {
  const slots = (outcome === "unverified" ? known - 1 : known) * SLOTS;
  await until(async () => {
    const pool = await network.pool(model);
    return pool.waiting === 0 && pool.slots === slots && pool.free === slots;
  }, `${slots} free slots and an empty queue`);
}
