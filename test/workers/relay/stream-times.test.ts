import { describe, expect, it, vi } from "vitest";
import { LIMITS } from "../../../core/limits.ts";
import { readUntil } from "../job/network.ts";
import { NOW, openStream, refusalOf, type Stage } from "./stream-support.ts";

const cancels = ({ sent }: Stage) => sent.filter(({ type }) => type === "cancel").length;
const reader = async ({ stream }: Stage) => ((await stream.response).body as ReadableStream<Uint8Array>).getReader();

describe("taking a job up", () => {
  it("gives a silent daemon a second, and then lets the job move on", async () => {
    const stage = openStream();
    await stage.pass(LIMITS.acceptMs - 1);
    expect(cancels(stage)).toBe(0);
    await stage.pass(1);
    expect(await refusalOf(stage.stream)).toMatchObject({ move: true, resolved: false });
    expect(cancels(stage)).toBe(1);
    expect(stage.reports).toMatchObject([{ type: "ended", result: "declined", tokens: null }]);
  });

  it("reports a job that runs for a quarter of a second once, and a shorter one only at its end", async () => {
    const long = openStream();
    long.stream.accept();
    await long.pass(LIMITS.leaseReportMs - 1);
    expect(long.reports).toEqual([]);
    await long.pass(60_000);
    expect(long.reports).toMatchObject([{ type: "running", fence: 1 }]);
  });
});

describe("a consumer who leaves", () => {
  it.each([
    [0, "void"],
    [999, "void"],
    [1_000, "charge"],
  ])("%i ms after acceptance, before the first token: %s", async (ms, end) => {
    const stage = openStream();
    await stage.pass(500);
    stage.stream.accept();
    await stage.pass(ms);
    stage.stream.cancel();
    expect(cancels(stage)).toBe(1);
    if (end === "charge") stage.done();
    await stage.stream.response;
    expect(stage.voided).toHaveLength(end === "void" ? 1 : 0);
    expect(stage.posted).toMatchObject(
      end === "void" ? [] : [{ outcome: "cancelled", usage: { prompt: 8, completion: 0 } }],
    );
  });

  it("is charged nothing where no claim comes within five seconds", async () => {
    const stage = openStream();
    stage.text("Hello");
    stage.stream.cancel();
    await stage.pass(LIMITS.claimAfterCancelMs - 1);
    expect(stage.voided).toEqual([]);
    await stage.pass(1);
    expect(stage.voided).toHaveLength(1);
    stage.done();
    await stage.pass(1);
    expect(stage.posted).toEqual([]);
    expect(stage.reports).toMatchObject([{ type: "ended", tokens: null }]);
  });

  it("is charged nothing where the daemon goes away instead of claiming", async () => {
    const stage = openStream();
    stage.text("Hello");
    stage.stream.cancel();
    stage.stream.fail("daemon_gone");
    await stage.pass(1);
    expect([stage.posted.length, stage.voided.length]).toEqual([0, 1]);
  });

  it("cancels a job once, however often that is said", async () => {
    const stage = openStream();
    stage.text("Hello");
    stage.stream.cancel();
    stage.stream.cancel();
    stage.done();
    stage.done();
    stage.stream.cancel();
    await stage.pass(LIMITS.claimAfterCancelMs);
    expect([cancels(stage), stage.posted.length, stage.voided.length]).toEqual([1, 1, 0]);
  });
});

describe("a job that takes too long", () => {
  it("times out without a first token, and is charged nothing", async () => {
    const stage = openStream();
    stage.stream.accept();
    await stage.pass(600_000 - 1);
    expect(stage.posted).toEqual([]);
    await stage.pass(1);
    expect(await refusalOf(stage.stream)).toMatchObject({
      refusal: { code: "first_token_timeout" },
      move: false,
      resolved: true,
    });
    expect(stage.posted).toMatchObject([{ outcome: "timed_out", usage: { prompt: 0, completion: 0 }, claim: null }]);
  });

  it.each([
    ["600 s from its first dispatch", { firstDispatchedAt: NOW - 500_000 }, 100_000],
    ["30 s before its hold ends", { hold: { expiresAt: NOW + 90_000 } }, 60_000],
  ])("is cut %s, and charged what it had", async (_, changes, due) => {
    const base = openStream().stream.job;
    const stage = openStream({ ...changes, hold: { ...base.hold, ...("hold" in changes ? changes.hold : {}) } });
    stage.text("Hello");
    const stream = await reader(stage);
    await stage.pass(due - 1);
    expect(cancels(stage)).toBe(0);
    await stage.pass(1);
    expect(cancels(stage)).toBe(1);
    stage.done();
    expect(await readUntil(stream, "[DONE]")).toContain('"finish_reason":"length"');
    expect(stage.posted).toMatchObject([{ outcome: "timed_out", usage: { completion: 1 } }]);
  });
});

describe("a slow stream", () => {
  it("shows a sign of life every fifteen seconds in which nothing happens", async () => {
    const stage = openStream();
    stage.text("Hello");
    const stream = await reader(stage);
    await readUntil(stream, "Hello");
    await stage.pass(LIMITS.streamCommentMs);
    expect(await readUntil(stream, ": ")).toMatch(/^: .*\n\n$/);
  });

  it("pauses the daemon while its reader is slow, and resumes it", async () => {
    const stage = openStream();
    const chunk = "x".repeat(8_192);
    let sent = 0;
    while (!stage.sent.some(({ type }) => type === "pause") && sent < 100) {
      stage.text(`${sent++}${chunk}`);
      await Promise.resolve();
    }
    expect(sent * chunk.length).toBeGreaterThanOrEqual(LIMITS.streamHighWaterBytes - chunk.length);
    expect(sent * chunk.length).toBeLessThan(2 * LIMITS.streamHighWaterBytes + 2 * chunk.length);
    const stream = await reader(stage);
    await readUntil(stream, `"${sent - 1}x`);
    await vi.waitFor(() => expect(stage.sent.map(({ type }) => type)).toEqual(["pause", "resume"]));
    stage.done();
    await readUntil(stream, "[DONE]");
    expect(stage.posted).toMatchObject([{ outcome: "completed", usage: { completion: sent } }]);
  });

  it("is given up when its reader paused it for a minute in all", async () => {
    const stage = openStream();
    for (let sent = 0; sent < 20; sent++) stage.text("x".repeat(8_192));
    expect(stage.sent).toMatchObject([{ type: "pause" }]);
    await stage.pass(LIMITS.streamPausedMs - 1);
    expect(cancels(stage)).toBe(0);
    await stage.pass(1);
    expect(cancels(stage)).toBe(1);
    stage.done();
    await stage.pass(1);
    expect(stage.posted).toMatchObject([{ outcome: "cancelled", usage: { completion: 20 } }]);
  });
});

describe("a daemon that heeds no pause", () => {
  it("is cut before it fills the relay's memory, and charged what was relayed until then", async () => {
    const stage = openStream();
    const chunk = "x".repeat(60_000);
    for (let sent = 0; sent < 30; sent++) stage.text(chunk);
    expect(stage.sent.map(({ type }) => type)).toEqual(["pause", "cancel"]);
    stage.done();
    await stage.pass(1);
    const relayed = Math.ceil(LIMITS.streamMostBytes / chunk.length);
    expect(stage.posted).toMatchObject([{ outcome: "timed_out", usage: { completion: relayed, relayed } }]);
  });
});
