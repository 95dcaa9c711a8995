import { expect, it, vi } from "vitest";
import { epochStart } from "../../../core/allotment/epochs.ts";
import { dailyEpochs } from "../../../protocol/network/epochs.ts";
import { EPOCH, madeRow, stake, TOKEN } from "../epochs/support.ts";
import { call } from "./support.ts";

it("tells anybody today's row, tomorrow's estimate, and why they are what they are", async () => {
  await stake(EPOCH, { a: 2_000, b: 4_000 });
  const row = await madeRow();
  vi.useFakeTimers({ toFake: ["Date"], now: epochStart(EPOCH) + 1_000 });
  const { status, json } = await call("/api/v1/epochs/daily");
  expect(status).toBe(200);
  const { current, next, next_is_estimate: isEstimate } = dailyEpochs.parse(json);
  expect(current).toMatchObject({
    epoch: EPOCH,
    day: "2026-11-25",
    starts_at: "2026-11-25T00:00:00.000Z",
    inputs: {
      previous: null,
      revenue: [{ day: "2026-11-23", usd: "0.000000000" }],
      treasury_known: true,
      stake: String(6_000n * TOKEN),
      accounts: 2,
    },
    outputs: { rate: "0.001666666666500000", obligation: "9.999999999", bounds: ["genesis_budget", "revenue"] },
  });
  expect(row.rate).toBe(1_666_666_666_500_000n);
  expect(current?.explanation.map(({ of }) => of)).toEqual(expect.arrayContaining(["treasury", "genesis_budget"]));
  // Nothing says yet what the treasury has, so an honest estimate is nothing.
  expect(isEstimate).toBe(true);
  expect(next).toMatchObject({ day: "2026-11-26", inputs: { stake: String(6_000n * TOKEN), treasury_known: false } });

  // What is told is kept for minutes, but a new day is told at once, also one without a row.
  vi.setSystemTime(epochStart(EPOCH + 1) + 1_000);
  const tomorrow = dailyEpochs.parse((await call("/api/v1/epochs/daily")).json);
  expect(tomorrow.current).toBeNull();
  expect(tomorrow.next.day).toBe("2026-11-27");
});

it("tells the row of tomorrow as it is once it is made", async () => {
  const epoch = EPOCH + 20;
  await stake(epoch, { a: 2_000 });
  const row = await madeRow(epoch);
  vi.useFakeTimers({ toFake: ["Date"], now: epochStart(epoch) - 20 * 60_000 });
  const found = dailyEpochs.parse((await call("/api/v1/epochs/daily")).json);
  expect(found).toMatchObject({ current: null, next: { epoch }, next_is_estimate: false });
  const { json } = await call(`/api/v1/epochs/daily/${epoch}`);
  expect(json).toEqual(found.next);
  expect(row.epoch).toBe(epoch);
});

it.each([
  [String(EPOCH), 404, "not_found"],
  ["today", 400, "invalid_request"],
  ["-1", 400, "invalid_request"],
])("refuses the epoch %s with %i", async (epoch, status, code) => {
  const refused = await call(`/api/v1/epochs/daily/${epoch}`);
  expect([refused.status, refused.json.code]).toEqual([status, code]);
});
