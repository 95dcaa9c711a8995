import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { dailyRow } from "../../../core/allotment/daily-row.ts";
import { epochStart } from "../../../core/allotment/epochs.ts";
import type { AccountId } from "../../../core/ids.ts";
import { GENESIS_PARAMETERS } from "../../../core/parameters.ts";
import { nanoUsd, stakeUnits } from "../../../core/units.ts";
import { addEpochRow, epochRow, lastEpochRow, putStakes } from "../../../db/epochs.ts";
import { closeDay, estimateRow } from "../../../workers/cron/close-day.ts";
import { runDue } from "../../../workers/cron/index.ts";
import { idOf } from "../../support/receipts.ts";
import { before, charge, close, EPOCH, madeRow, RICH, stake, TOKEN, treasuryOf } from "./support.ts";

const HOUR = 3_600_000;
const closedDay = epochStart(EPOCH - 2);

it("makes the next epoch's row from what D1 has, and it stands there as it was made", async () => {
  await charge("topup", closedDay + HOUR);
  await charge("package", closedDay + 12 * HOUR);
  await charge("allotment", closedDay + 20 * HOUR);
  await stake(EPOCH, { a: 5_000, b: 1_000, poor: 999 });
  const row = await madeRow();
  expect(row).toMatchObject({
    epoch: EPOCH,
    revenues: [{ day: EPOCH - 2, nanoUsd: 8_000 }],
    spent: 80_000,
    issued: 0,
    stake: 6_000n * TOKEN,
    accounts: 2,
    stakeKnown: true,
    treasuryKnown: true,
    average: 2_000,
  });
  expect(row.rate).toBeGreaterThan(0n);
  expect(await epochRow(env.DB, EPOCH)).toEqual(row);
});

it("counts a day from its first window to the one that closes as the next day begins", async () => {
  // A receipt joins the first window that closes an hour after it or later.
  await charge("topup", closedDay - HOUR);
  await charge("topup", closedDay - HOUR + 1);
  await charge("topup", closedDay + 23 * HOUR);
  await charge("topup", closedDay + 23 * HOUR + 1);
  await stake(EPOCH, { a: 1_000 });
  expect((await madeRow()).revenues).toEqual([{ day: EPOCH - 2, nanoUsd: 8_000 }]);
});

it("makes it once, however many pokes come at the same time, and says so to the later ones", async () => {
  await stake(EPOCH, { a: 1_000 });
  const results = await Promise.all(Array.from({ length: 5 }, (_, index) => close(EPOCH, treasuryOf(index + 1))));
  expect(results.map(({ type }) => type).sort()).toEqual(["made", "there", "there", "there", "there"]);
  const made = results.find(({ type }) => type === "made");
  expect(await close()).toEqual({ type: "there" });
  expect(made).toEqual({ type: "made", row: await epochRow(env.DB, EPOCH) });
});

it.each([
  [31, "not_due"],
  [30, "made"],
  [2, "made"],
  [1, "not_due"],
  [0, "not_due"],
])("%i minutes before the epoch it is %s", async (minutes, type) => {
  await stake(EPOCH, { a: 1_000 });
  expect((await close(EPOCH, RICH, minutes)).type).toBe(type);
  if (type === "not_due") expect(await epochRow(env.DB, EPOCH)).toBeNull();
});

it("waits for the snapshot until a quarter to midnight, and goes on without it then", async () => {
  await stake(EPOCH, { a: 1_000 }, false);
  expect(await close(EPOCH, RICH, 16)).toEqual({ type: "waiting" });
  const closed = await close(EPOCH, RICH, 15);
  expect(closed).toMatchObject({
    type: "made",
    row: { stakeKnown: false, stake: 0n, rate: 0n, bounds: ["genesis_budget", "revenue", "no_stake"] },
  });
  // What comes after the row changes nothing: allotments follow from what it was made of.
  expect(await stake(EPOCH, { b: 1_000 })).toBe("late");
  expect(await env.DB.prepare("SELECT count(*) AS n FROM stakes").first("n")).toBe(1);
});

it("takes a snapshot page by page, each of them again without harm, and none after the last", async () => {
  expect(await stake(EPOCH, { a: 1_000 }, false)).toBe("open");
  expect(await stake(EPOCH, { a: 7_000, b: 2_000, none: 0 }, false)).toBe("open");
  expect(await stake(EPOCH, { c: 3_000 })).toBe("sealed");
  expect(await stake(EPOCH, { d: 9_000 })).toBe("sealed");
  expect(await madeRow()).toMatchObject({ stake: 6_000n * TOKEN, accounts: 3 });
  expect(await env.DB.prepare("SELECT accounts FROM stake_snapshots").first("accounts")).toBe(3);
});

it("adds up stakes beyond any number of SQLite's", async () => {
  // A token's whole supply, nearly: more than SQLite's 63 bits, and no more than the token program's 64.
  const most = 2n ** 64n / 1_500n;
  const rows = Array.from({ length: 1_500 }, (_, index) => ({
    account: idOf<AccountId>(`holder ${index}`),
    stake: stakeUnits(most - BigInt(index)),
  }));
  await putStakes(env.DB, EPOCH, rows);
  expect(await madeRow()).toMatchObject({
    stake: rows.reduce((sum, row) => sum + row.stake, 0n),
    accounts: 1_500,
  });
});

it("makes a row of an empty snapshot, which nobody's allotment follows from", async () => {
  expect(await stake(EPOCH, {})).toBe("sealed");
  expect(await madeRow()).toMatchObject({ stakeKnown: true, stake: 0n, accounts: 0, rate: 0n });
});

it("never assumes a treasury", async () => {
  await stake(EPOCH, { a: 1_000 });
  const closed = await closeDay(env, before(EPOCH, 30));
  expect(closed).toMatchObject({ type: "made", row: { treasury: 0, treasuryKnown: false, budget: 0, rate: 0n } });
});

it("waits for a treasury that cannot be read, and goes on without it at a quarter to midnight", async () => {
  await stake(EPOCH, { a: 1_000 });
  const away = { read: () => Promise.reject(new Error("no chain")) };
  await expect(close(EPOCH, away, 30)).rejects.toThrow("no chain");
  expect(await epochRow(env.DB, EPOCH)).toBeNull();
  expect(await close(EPOCH, away, 15)).toMatchObject({ type: "made", row: { treasuryKnown: false, rate: 0n } });
});

it("goes on from the last row after missed days, with every day that has closed since", async () => {
  await stake(EPOCH, { a: 1_000 });
  const first = await madeRow();
  for (const day of [EPOCH - 1, EPOCH, EPOCH + 1]) await charge("topup", epochStart(day) + HOUR);
  await stake(EPOCH + 3, { a: 1_000 });
  const row = await madeRow(EPOCH + 3);
  expect(row).toMatchObject({
    genesis: EPOCH,
    previousEpoch: EPOCH,
    previousRate: first.rate,
    revenues: [EPOCH - 1, EPOCH, EPOCH + 1].map((day) => ({ day, nanoUsd: 4_000 })),
    issued: 0,
  });
  expect(await epochRow(env.DB, EPOCH + 1)).toBeNull();
  expect(await lastEpochRow(env.DB, EPOCH + 2)).toEqual(first);
});

it("counts what was spent against what the epoch of that day has issued", async () => {
  await stake(EPOCH, { a: 1_000 });
  const first = await madeRow();
  await charge("allotment", epochStart(EPOCH) + HOUR);
  await stake(EPOCH + 2, { a: 1_000 });
  const row = await madeRow(EPOCH + 2);
  expect(row).toMatchObject({ issued: first.obligation, spent: 80_000 });
});

it("refuses a row whose obligation is above its bound, whoever computed it", async () => {
  await stake(EPOCH, { a: 1_000 });
  const row = await madeRow();
  const bad = { ...row, epoch: EPOCH + 1, obligation: (row.budgetMost + 1) as typeof row.obligation };
  await expect(addEpochRow(env.DB, bad)).rejects.toThrow();
  expect(await addEpochRow(env.DB, { ...row, spent: nanoUsd(1) })).toBe(false);
  expect(await epochRow(env.DB, EPOCH)).toEqual(row);
});

it("estimates the next row with the last snapshot that there is", async () => {
  expect(await estimateRow(env, EPOCH, treasuryOf(null))).toMatchObject({ stakeKnown: false, rate: 0n });
  await stake(EPOCH, { a: 4_000 });
  await stake(EPOCH + 1, { a: 1_000 }, false);
  await madeRow();
  const estimate = await estimateRow(env, EPOCH + 1, RICH);
  expect(estimate).toMatchObject({ epoch: EPOCH + 1, stake: 4_000n * TOKEN, previousEpoch: EPOCH });
  await stake(EPOCH + 1, { a: 4_000 });
  const row = await madeRow(EPOCH + 1);
  expect(row.stake).toBe(1_000n * TOKEN);
  expect(
    dailyRow(
      { ...estimate, stakes: { units: row.stake, accounts: 1 } },
      await epochRow(env.DB, EPOCH),
      GENESIS_PARAMETERS,
    ),
  ).toEqual(row);
});

it("is poked by the platform's clock, and a step that fails throws at nobody", async () => {
  await stake(EPOCH, { a: 1_000 });
  await runDue({ ...env, DB: undefined as unknown as D1Database }, before(EPOCH, 30));
  await runDue(env, before(EPOCH, 26));
  expect(await epochRow(env.DB, EPOCH)).not.toBeNull();
});
