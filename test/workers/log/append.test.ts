import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { LIMITS } from "../../../core/limits.ts";
import { existingReceipts, logSize, receiptsOfJob, segmentOf } from "../../../db/log.ts";
import { readReceipt } from "../../../queues/segments.ts";
import { receiptOf, receiptsOf, TEST_TIME } from "../../support/receipts.ts";
import { auditLog, deliver, jobOf, pack, placeOf, rows, segmentRows } from "./support.ts";

it("appends the receipts of a batch in order of arrival, as one segment", async () => {
  const receipts = receiptsOf(5);
  const { summary, acked, letters } = await deliver([pack(receipts.slice(0, 2)), pack(receipts.slice(2))]);
  expect(summary).toEqual({ appended: 5, duplicates: 0, refused: 0, error: null });
  expect(acked).toBe(true);
  expect(letters).toEqual([]);
  expect(await auditLog()).toEqual(receipts);
  expect(await segmentRows()).toMatchObject([{ first_index: 0, count: 5, at: TEST_TIME }]);
});

it("goes on where the last segment ended", async () => {
  const receipts = receiptsOf(6);
  await deliver([pack(receipts.slice(0, 4))]);
  await deliver([pack(receipts.slice(4))]);
  expect(await auditLog()).toEqual(receipts);
  expect(await logSize(env.DB)).toBe(6);
  expect((await segmentRows()).map(({ first_index }) => first_index)).toEqual([0, 4]);
});

it("keeps what lists and sums are made of in a slim row", async () => {
  const receipt = receiptOf({ usage: { prompt: 10, completion: 1_000 } });
  await deliver([pack([receipt])]);
  const [row] = await rows();
  expect(row).toMatchObject({
    n: 0,
    log_index: 0,
    segment: 0,
    offset: 0,
    window: Date.UTC(2026, 10, 22, 18),
    at: TEST_TIME + 900,
    outcome: "completed",
    lane: "public",
    model: "maker/eight",
    nano_usd: 80_200,
    millicredits: 80_200,
    prompt: 10,
    completion: 1_000,
  });
});

it("leaves a receipt that comes too late for a close to the window after it", async () => {
  const [first, second] = receiptsOf(2);
  await deliver([pack([first])], { now: Date.UTC(2026, 10, 22, 17) });
  await deliver([pack([second])], { now: Date.UTC(2026, 10, 22, 17) + 1 });
  const closes = (await rows()).map(({ window }) => new Date(window).toISOString());
  expect(closes).toEqual(["2026-11-22T18:00:00.000Z", "2026-11-23T00:00:00.000Z"]);
});

it("waits as long for a close as the network's parameters say", async () => {
  const TOLLMILL_PARAMETERS = '{"settlementDelayMs":0}';
  await deliver([pack(receiptsOf(1))], { now: Date.UTC(2026, 10, 22, 18), TOLLMILL_PARAMETERS });
  expect((await rows())[0]?.window).toBe(Date.UTC(2026, 10, 22, 18));
  const { summary, acked } = await deliver([pack([receiptOf({ index: 1 })])], { TOLLMILL_PARAMETERS: '{"speed":1}' });
  expect([summary, acked]).toEqual([expect.objectContaining({ appended: 0, error: "unknown parameter speed" }), false]);
});

it("finds a receipt by its job and reads its bytes back", async () => {
  const [first, second] = receiptsOf(2);
  if (first === undefined || second === undefined) throw new Error("two were made");
  await deliver([pack([first, second])]);
  const place = await placeOf(second);
  expect(place).toMatchObject({ log_index: 1, segment: 0 });
  expect(place && (await readReceipt(env.SEGMENTS, place))).toEqual(second);
  expect(place && (await readReceipt(env.SEGMENTS, { ...place, hash: "0".repeat(64) }))).toBeNull();
  expect(await receiptsOfJob(env.DB, jobOf(receiptOf({ index: 9 })))).toEqual([]);
});

it("tells which of some receipts it has", async () => {
  const [known, unknown] = receiptsOf(2);
  if (known === undefined || unknown === undefined) throw new Error("two were made");
  await deliver([pack([known])]);
  const keys = [
    { job: jobOf(known), n: 0 },
    { job: jobOf(known), n: 1 },
    { job: jobOf(unknown), n: 0 },
  ];
  expect([...(await existingReceipts(env.DB, keys))]).toEqual([`${jobOf(known)}/0`]);
  expect([...(await existingReceipts(env.DB, []))]).toEqual([]);
});

it("finds the segment of a log index, and none past the end", async () => {
  await deliver([pack(receiptsOf(3))]);
  await deliver([pack(receiptsOf(2, { index: 3 }))]);
  const firsts = await Promise.all([0, 2, 3, 4, 5].map((index) => segmentOf(env.DB, index)));
  expect(firsts.map((segment) => segment?.first_index)).toEqual([0, 0, 3, 3, undefined]);
});

it("keeps reversals of a job beside its receipt", async () => {
  const receipt = receiptOf();
  const reversal = receiptOf({ facts: { n: 1, outcome: "reversed" } });
  await deliver([pack([receipt, reversal])]);
  expect((await receiptsOfJob(env.DB, jobOf(receipt))).map(({ n }) => n)).toEqual([0, 1]);
  await auditLog();
});

it("appends a batch of more receipts than one statement takes", { timeout: 60_000 }, async () => {
  await deliver([pack([receiptOf()])]);
  const count = LIMITS.jsonRows + 50;
  const receipts = receiptsOf(count, { index: 1 });
  const messages = Array.from({ length: 15 }, (_, index) => pack(receipts.slice(index * 70, index * 70 + 70)));
  const { summary } = await deliver(messages);
  expect(summary).toEqual({ appended: count, duplicates: 0, refused: 0, error: null });
  expect(await logSize(env.DB)).toBe(1 + count);
  expect(await segmentRows()).toHaveLength(2);
  expect(await auditLog()).toEqual([receiptOf(), ...receipts]);
});
