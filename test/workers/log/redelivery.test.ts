import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { receiptOf, receiptsOf } from "../../support/receipts.ts";
import { auditLog, deliver, pack, rows, segmentRows, withBatches } from "./support.ts";

const [a, b, c, d] = receiptsOf(4);

describe("what comes more than once is appended once", () => {
  it("within a message and a batch", async () => {
    const { summary } = await deliver([pack([a, a, b]), pack([b, a, c])]);
    expect(summary).toEqual({ appended: 3, duplicates: 3, refused: 0, error: null });
    expect(await auditLog()).toEqual([a, b, c]);
  });

  it("in a batch that comes again as a whole", async () => {
    await deliver([pack([a, b])]);
    const { summary, acked } = await deliver([pack([a, b])]);
    expect(summary).toEqual({ appended: 0, duplicates: 2, refused: 0, error: null });
    expect(acked).toBe(true);
    expect(await auditLog()).toEqual([a, b]);
  });

  it("when half of a batch was acknowledged and the other half comes with new neighbours, in another order", async () => {
    await deliver([pack([a]), pack([b])]);
    const { summary } = await deliver([pack([d]), pack([b]), pack([c])]);
    expect(summary).toMatchObject({ appended: 2, duplicates: 1 });
    expect(await auditLog()).toEqual([a, b, d, c]);
  });
});

describe("a failure half-way", () => {
  it("between the segment and its rows leaves only bytes that nothing names, and the batch comes again", async () => {
    const DB = withBatches((call, run) => (call === 1 ? Promise.reject(new Error("D1 is away")) : run()));
    const { summary, acked, retries } = await deliver([pack([a]), pack([b])], { DB });
    expect(summary).toEqual({ appended: 0, duplicates: 0, refused: 0, error: "D1 is away" });
    expect(acked).toBe(false);
    expect(retries.map(({ msgId }) => msgId)).toEqual(["message 0", "message 1"]);
    expect(await rows()).toEqual([]);
    expect((await env.SEGMENTS.list()).objects).toHaveLength(1);

    expect((await deliver([pack([a]), pack([b])])).summary).toMatchObject({ appended: 2, error: null });
    expect(await auditLog()).toEqual([a, b]);
    // The same bytes have the same name.
    expect((await env.SEGMENTS.list()).objects).toHaveLength(1);
  });

  it("after the rows were written changes nothing when the batch comes again", async () => {
    const DB = withBatches(async (call, run) => {
      const results = await run();
      if (call === 1) throw new Error("the answer was lost");
      return results;
    });
    expect((await deliver([pack([a, b])], { DB })).retries).toHaveLength(1);
    expect((await deliver([pack([a, b])])).summary).toMatchObject({ appended: 0, duplicates: 2 });
    expect(await auditLog()).toEqual([a, b]);
  });

  it("of R2 writes no row", async () => {
    const SEGMENTS = { put: () => Promise.reject(new Error("R2 is away")) } as unknown as R2Bucket;
    expect((await deliver([pack([a])], { SEGMENTS })).summary.error).toBe("R2 is away");
    expect(await rows()).toEqual([]);
    expect(await segmentRows()).toEqual([]);
  });

  it("of the dead-letter queue asks for the batch again, and what was appended stays appended once", async () => {
    const DEAD_LETTERS = { sendBatch: () => Promise.reject(new Error("queue is away")) } as unknown as Queue;
    const first = await deliver([pack([a, "poison"])], { DEAD_LETTERS });
    expect(first.summary.error).toBe("queue is away");
    expect(first.retries).toHaveLength(1);
    const second = await deliver([pack([a, "poison"])]);
    expect(second.summary).toEqual({ appended: 0, duplicates: 1, refused: 1, error: null });
    expect(await auditLog()).toEqual([a]);
  });

  it("of a whole database refuses nothing", async () => {
    await env.DB.exec("ALTER TABLE rollups RENAME TO elsewhere");
    const { summary, letters } = await deliver([pack([a, b])]);
    expect(summary.error).toMatch(/no such table/);
    expect(letters).toEqual([]);
    expect(await rows()).toEqual([]);
  });
});

describe("a second appender", () => {
  it("that is faster between reading and writing makes the slower one read again", async () => {
    const DB = withBatches(async (call, run) => {
      if (call === 1) await deliver([pack([b, c])]);
      return run();
    });
    const { summary } = await deliver([pack([a, b])], { DB });
    expect(summary).toEqual({ appended: 1, duplicates: 1, refused: 0, error: null });
    expect(await auditLog()).toEqual([b, c, a]);
  });

  it("that is always faster makes the batch come again", async () => {
    let index = 100;
    const DB = withBatches(async (call, run) => {
      if (call % 2 === 1) await deliver([pack([receiptOf({ index: index++ })])]);
      return run();
    });
    const { summary, retries } = await deliver([pack([a])], { DB });
    expect(summary.error).toMatch(/faster/);
    expect(retries).toHaveLength(1);
    expect(await auditLog()).toHaveLength(index - 100);
  });

  it("and a third, racing with the same receipts, append each once", async () => {
    const all = receiptsOf(12);
    const share = (start: number) => pack(all.slice(start, start + 8));
    const results = await Promise.all([deliver([share(0)]), deliver([share(2)]), deliver([share(4)])]);
    expect(results.map(({ summary }) => summary.error)).toEqual([null, null, null]);
    const log = await auditLog();
    expect(log.map(({ body }) => body).sort()).toEqual(all.map(({ body }) => body).sort());
  });
});
