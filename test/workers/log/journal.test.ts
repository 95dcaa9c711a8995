import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import type { EntryType } from "../../../core/account/entry-types.ts";
import type { Backing } from "../../../core/account/lots.ts";
import type { AccountId } from "../../../core/ids.ts";
import type { Millicredits, NanoUsd } from "../../../core/units.ts";
import { lotEntry, releaseEntry, transferEntry } from "../../../durable-objects/account/entries.ts";
import { bodyOf, idOf, receiptOf, TEST_TIME } from "../../support/receipts.ts";
import { auditLog, deliver, withBatches } from "./support.ts";

const FIRST = idOf<AccountId>("first");
const SECOND = idOf<AccountId>("second");
const after = (seq: number) => ({ seq: seq - 1, head: "0".repeat(64) });

function lotItem(account: string, seq: number, type: EntryType, backing: Backing, amount: number) {
  const lot = { id: "lot", kind: type === "topup" ? ("topup" as const) : ("bonus" as const), backing };
  return { account, type, body: lotEntry(type, lot, amount, TEST_TIME, after(seq), "") };
}

function transferItem(account: AccountId, seq: number, direction: "out" | "in", credits: number, stripped = 0) {
  const other = account === FIRST ? SECOND : FIRST;
  const facts = { id: "t", other, millicredits: credits as Millicredits, stripped: stripped as NanoUsd, memo: "" };
  return { account, type: "transfer", body: transferEntry(direction, facts, TEST_TIME, after(seq)) };
}

const journalOf = (...entries: unknown[]) => ({ v: 1, entries });

const LIVELY = [
  lotItem(FIRST, 1, "topup", "usdc", 900),
  lotItem(FIRST, 2, "bonus", "none", 300),
  transferItem(FIRST, 3, "out", 500, 400),
  transferItem(SECOND, 1, "in", 500),
  lotItem(FIRST, 5, "expiry", "none", 100),
];
const TOTALS = {
  lots_usdc: [500, 2],
  treasury: [-900, 1],
  pool: [400, 1],
  lots_none: [600, 4],
  issuance: [-600, 3],
  suspense: [0, 2],
};

async function totals() {
  const { results } = await env.DB.prepare("SELECT * FROM journal_totals").all<{
    name: string;
    amount: number;
    entries: number;
  }>();
  return Object.fromEntries(results.map(({ name, amount, entries }) => [name, [amount, entries]]));
}

const rowCount = async () => await env.DB.prepare("SELECT count(*) AS n FROM journal").first<number>("n");

it("takes each entry once with its part of the totals, however often and in whatever order they come", async () => {
  const first = await deliver([journalOf(...LIVELY.slice(3)), journalOf(...LIVELY.slice(0, 2), LIVELY[4])]);
  expect(first.summary).toEqual({ appended: 4, duplicates: 1, refused: 0, error: null });
  const second = await deliver([journalOf(...LIVELY.toReversed()), journalOf(...LIVELY)]);
  expect(second.summary).toEqual({ appended: 1, duplicates: 9, refused: 0, error: null });
  expect(await rowCount()).toBe(LIVELY.length);
  expect(await totals()).toEqual(TOTALS);
});

it("comes with receipts in one batch, and neither keeps the other out", async () => {
  const { summary } = await deliver([
    journalOf(...LIVELY),
    { v: 1, receipts: [receiptOf()] },
    { v: 1, receipts: ["?"] },
  ]);
  expect(summary).toEqual({ appended: LIVELY.length + 1, duplicates: 0, refused: 1, error: null });
  expect(await auditLog()).toHaveLength(1);
  expect(await totals()).toEqual(TOTALS);
});

it("refuses another entry in the same place, and what is no entry of the journal", async () => {
  await deliver([journalOf(...LIVELY)]);
  const receipt = { account: FIRST, type: "spent", body: receiptOf().body };
  const wrong = [
    lotItem(FIRST, 2, "bonus", "none", 301),
    { ...lotItem(FIRST, 6, "bonus", "none", 1), type: "topup" },
    { ...lotItem(FIRST, 6, "bonus", "none", 1), account: "nobody" },
    receipt,
    "?",
  ];
  const { summary, letters } = await deliver([journalOf(...wrong, lotItem(FIRST, 7, "bonus", "none", 9))]);
  expect(summary).toEqual({ appended: 1, duplicates: 0, refused: wrong.length, error: null });
  expect(letters.map(({ reason }) => reason)).toEqual([
    "malformed body of an entry",
    "malformed entry",
    "a receipt is none of the journal's entries",
    "malformed entry",
    "the journal has another entry of this account and number",
  ]);
  expect(await totals()).toMatchObject({ lots_none: [609, 5], issuance: [-609, 4] });
});

it("counts nothing twice where the answer of a write was lost or another appender was faster", async () => {
  const lost = withBatches(async (_call, run) => {
    await run();
    throw new Error("the answer was lost");
  });
  expect((await deliver([journalOf(...LIVELY)], { DB: lost })).summary).toMatchObject({
    appended: 0,
    error: expect.any(String),
  });
  const raced = withBatches(async (_call, run) => {
    await deliver([journalOf(lotItem(SECOND, 2, "bonus", "none", 4))]);
    return run();
  });
  const { summary } = await deliver([journalOf(...LIVELY, lotItem(SECOND, 2, "bonus", "none", 4))], { DB: raced });
  expect(summary).toEqual({ appended: 0, duplicates: LIVELY.length + 1, refused: 0, error: null });
  expect(await rowCount()).toBe(LIVELY.length + 1);
  expect(await totals()).toMatchObject({ lots_none: [604, 5], lots_usdc: TOTALS.lots_usdc, pool: TOTALS.pool });
});

it("has no row for the end of a hold, and lets none in that does not balance", async () => {
  const ended = { account: FIRST, type: "void", body: releaseEntry("void", bodyOf().job, "x", TEST_TIME, after(1)) };
  expect((await deliver([journalOf(ended)])).summary).toMatchObject({ appended: 0, refused: 1 });
  const row = env.DB.prepare("INSERT INTO journal VALUES ('a', 1, 'bonus', 1, 0, 5, 0, 0, -4, 0)");
  await expect(row.run()).rejects.toThrow("journal_none");
});
