/** What holds after a kill, however far the job was that it cut. */

import { expect } from "vitest";
import { type ReceiptBody, receiptText } from "../../../../core/receipt/body.ts";
import { countDeadLetters } from "../../../../db/dead-letters.ts";
import { ledgerEntry } from "../../../../protocol/network/account.ts";
import { walkChain } from "../../../support/chain.ts";
import { auditLog } from "../../../support/log-audit.ts";
import { type TestAccount, until } from "../../support/network.ts";
import { type Market, MODEL } from "./market.ts";

const STARTER = 1_200_000;

interface Entry {
  readonly type: string;
  readonly body: string;
}

/** The account's entries, whose chain has been followed from its beginning. */
async function verifiedChain({ network }: Market, { apiKey }: TestAccount): Promise<Entry[]> {
  const text = await (await network.call("/api/v1/ledger?format=ndjson", { apiKey })).text();
  const entries = text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => ledgerEntry.parse(JSON.parse(line)));
  walkChain(entries);
  return entries;
}

/** Holds an account to its rules: its chain, its sums, and that no job has two receipts. Gives its receipts. */
export async function checkBooks(market: Market, account: TestAccount): Promise<ReceiptBody[]> {
  const entries = await verifiedChain(market, account);
  const receipts = entries.filter(({ type }) => type === "spent").map(({ body }) => JSON.parse(body) as ReceiptBody);
  const { available, held } = await market.network.balance(account);
  const charged = receipts.reduce((sum, { charge }) => sum + charge.millicredits, 0);
  expect({ available: available + held }).toEqual({ available: STARTER - charged });
  const jobs = receipts.map(({ job }) => job);
  expect(jobs).toEqual([...new Set(jobs)]);
  return receipts;
}

/** Holds the answers that daemons got for their claims to the receipts: settled is who has one, refused who has none. */
function checkClaims({ daemons }: Market, receipts: readonly ReceiptBody[]): void {
  for (const { key, answers } of daemons) {
    for (const { type, job } of answers) {
      const receipt = receipts.find((body) => body.job === job);
      if (type === "settled") expect(receipt).toMatchObject({ job, daemon: key.id });
      else expect(receipt?.daemon === key.id ? receipt.charge.millicredits : 0).toBe(0);
    }
  }
}

/** Holds the log to having each receipt of one account once. */
export async function checkLogged({ server }: Market, receipts: readonly ReceiptBody[]): Promise<void> {
  const [first] = receipts;
  if (first === undefined) return;
  const rows = await server.rows<{ job: string }>("SELECT job FROM receipts WHERE consumer = ?", first.consumer);
  expect(rows.map(({ job }) => job).toSorted()).toEqual(receipts.map(({ job }) => job).toSorted());
}

/** How many receipts the log has. */
export async function logSize({ server }: Market): Promise<number> {
  return (await server.rows("SELECT job FROM receipts")).length;
}

/** Holds every account and the whole log to their rules: the log has what the accounts have posted, and nothing was refused. */
export async function checkEverything(market: Market): Promise<void> {
  const { life } = market.server;
  const log = await auditLog({ DB: await life.db(), SEGMENTS: await life.segments() });
  const posted: ReceiptBody[] = [];
  for (const account of market.accounts) posted.push(...(await checkBooks(market, account)));
  expect(log.map(({ body }) => body).toSorted()).toEqual(posted.map(receiptText).toSorted());
  expect(await countDeadLetters(await life.db())).toBe(0);
  checkClaims(market, posted);
}

/** Waits until no job keeps a slot. */
export async function checkSlots({ server }: Market): Promise<void> {
  await until(async () => {
    const { slots, free, waiting } = await server.supply(MODEL.id);
    return free === slots && waiting === 0;
  }, "a free slot for every job that has ended");
}

/** How the account's jobs ended. */
export async function endingsOf(market: Market, account: TestAccount): Promise<string[]> {
  return (await verifiedChain(market, account)).map(({ type }) => type).filter((type) => type !== "bonus");
}
