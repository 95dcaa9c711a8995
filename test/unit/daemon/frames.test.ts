import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { LIMITS } from "../../../core/limits.ts";
import { ResponseDigest } from "../../../core/receipt/digest.ts";
import type { EnginePiece } from "../../../daemon/engines/engine.ts";
import { flushDelay } from "../../../daemon/jobs/flush-policy.ts";
import { FrameCutter, splitUtf8 } from "../../../daemon/jobs/frame-cutter.ts";
import { mergeDeltas } from "../../../daemon/jobs/merge-deltas.ts";
import { RunningJob } from "../../../daemon/jobs/running-job.ts";
import { decodeFrame, type Frame } from "../../../protocol/daemon/frames.ts";
import type { StructuredDelta } from "../../../protocol/openai/chat.ts";
import { ScriptedEngine } from "./scripted-engine.ts";
import { randomJobId, SALT, textOf, tokensOf } from "./scripted-relay.ts";

const salt = Uint8Array.from(Buffer.from(SALT, "hex"));
const parameters = { firstMs: 50, ms: 100, tokens: 32 };
const text = (content: string, tokens = 1, choice = 0): EnginePiece => ({
  type: "text",
  choice,
  text: content,
  tokens,
});

function decoded(frames: readonly Uint8Array[]): Frame[] {
  return frames.map((bytes) => {
    const frame = decodeFrame(bytes);
    if ("error" in frame) throw new Error(frame.error);
    return frame;
  });
}

const cutter = (holdBack = false, choices = 1) => new FrameCutter({ stream: 9, salt, choices, holdBack });

describe("when frames go", () => {
  it("is at once for the first, then by 50 ms, and after a second by 100 ms or 32 tokens", () => {
    const few = { tokens: 1, bytes: 4 };
    const many = { tokens: 32, bytes: 128 };
    expect(flushDelay({ first: null, last: null }, few, parameters, 5_000)).toBe(0);
    expect(flushDelay({ first: 5_000, last: 5_000 }, few, parameters, 5_010)).toBe(40);
    expect(flushDelay({ first: 5_000, last: 5_000 }, many, parameters, 5_010)).toBe(40);
    expect(flushDelay({ first: 5_000, last: 5_950 }, few, parameters, 5_999)).toBe(1);
    expect(flushDelay({ first: 5_000, last: 5_950 }, few, parameters, 6_000)).toBe(50);
    expect(flushDelay({ first: 5_000, last: 5_950 }, many, parameters, 6_000)).toBe(0);
    expect(flushDelay({ first: 5_000, last: 5_950 }, few, parameters, 7_000)).toBe(0);
  });

  it("is on the beat that all streams of a daemon share", () => {
    const few = { tokens: 1, bytes: 4 };
    const streams = [5_003, 5_007, 4_990, 5_012].map((last) =>
      flushDelay({ first: 1_000, last }, few, parameters, 5_020),
    );
    expect(streams).toEqual([80, 80, 80, 80]);
    expect(flushDelay({ first: 1_000, last: 5_013 }, few, parameters, 5_020)).toBe(105);
  });

  it("is now for what grows large", () => {
    expect(flushDelay({ first: 0, last: 0 }, { tokens: 1, bytes: LIMITS.daemonFrameBytes }, parameters, 1)).toBe(0);
  });

  describe("on the clock", () => {
    beforeEach(() => void vi.useFakeTimers({ now: 40_000 * LIMITS.flushBeatMs }));
    afterEach(() => void vi.useRealTimers());

    it("comes out as the rule says", async () => {
      const sent: number[] = [];
      const started = Date.now();
      const engine = new ScriptedEngine(async function* () {
        for (let i = 0; i < 300; i++) {
          yield { type: "text", choice: 0, text: "x", tokens: 1 };
          await new Promise((resolve) => setTimeout(resolve, i < 200 ? 10 : 2));
        }
        yield { type: "end", finishReasons: ["stop"], usage: { prompt: 1, completion: 300 } };
      });
      const channel = {
        id: 1,
        isOpen: true,
        send: () => true,
        sendFrame: () => void sent.push(Date.now() - started),
        writable: () => Promise.resolve(),
      };
      const job = {
        type: "job",
        stream: 1,
        job: randomJobId(),
        fence: 0,
        lane: "public",
        model: "m",
        ticket: "t",
        salt: SALT,
        request_digest: "",
        deadline: started + 60_000,
        request: {},
      } as const;
      const request = { body: {}, choices: 1, completionCap: 1_000 };
      const running = new RunningJob({
        job,
        request,
        promptEstimate: 1,
        engine,
        channel,
        flush: parameters,
        now: Date.now,
      });
      const end = running.run();
      await vi.advanceTimersByTimeAsync(3_000);
      expect(await end).toMatchObject({ type: "answered", usage: { completion: 300 } });
      const gaps = sent.slice(1).map((time, index) => time - (sent[index] ?? 0));
      expect(sent[0]).toBe(0);
      expect(gaps.slice(0, 19)).toEqual(Array.from({ length: 19 }, () => 50));
      expect(gaps.slice(19, 28)).toEqual(Array.from({ length: 9 }, () => 100));
      // Now 32 tokens come in less than 100 ms.
      expect(Math.max(...gaps.slice(30))).toBeLessThanOrEqual(66);
    });
  });
});

describe("cutting", () => {
  it("sends whole code points, wherever the engine's chunks part", () => {
    const [high, low] = ["👩‍🚀".slice(0, 1), "👩‍🚀".slice(1)];
    const cut = cutter();
    cut.push(text(`a${high}`, 2));
    const first = decoded(cut.take());
    cut.push(text(low, 1));
    const rest = decoded(cut.finish(null));
    expect(textOf(first)).toBe("a");
    expect(textOf([...first, ...rest])).toBe("a👩‍🚀");
    expect([tokensOf(first), tokensOf(rest)]).toEqual([2, 1]);
  });

  it("keeps the token of a half that has no text of its own for the frame with the other half", () => {
    const cut = cutter();
    cut.push(text("\ud83d", 1));
    expect(cut.take()).toEqual([]);
    cut.push(text("\ude00", 1));
    const frames = decoded(cut.take());
    expect(textOf(frames)).toBe("😀");
    expect(tokensOf(frames)).toBe(2);
  });

  it("writes a half that stays alone as U+FFFD", () => {
    const cut = cutter();
    cut.push(text("\ud83d", 1));
    const frames = decoded(cut.finish(null));
    expect(textOf(frames)).toBe("\ufffd");
    expect(tokensOf(frames)).toBe(1);
  });

  it("splits what does not fit a frame between code points", () => {
    const long = "é€😀".repeat(30_000);
    const cut = cutter();
    cut.push(text(long, 90_000));
    const frames = decoded(cut.take());
    expect(frames.length).toBeGreaterThan(1);
    for (const frame of frames) {
      expect(frame.payload.length + 8).toBeLessThanOrEqual(LIMITS.daemonFrameBytes);
      expect(() => new TextDecoder("utf-8", { fatal: true }).decode(frame.payload)).not.toThrow();
    }
    expect(textOf(frames)).toBe(long);
    expect(tokensOf(frames)).toBe(90_000);
    expect(splitUtf8(new Uint8Array(), 4)).toEqual([]);
  });

  it("puts a correction of the count into the last payload, either way", () => {
    for (const [counted, expected] of [
      [3, 3],
      [6, 6],
      [2, 2],
      [1, 1],
      [0, 1],
    ] as const) {
      const cut = cutter(true);
      cut.push(text("a"));
      const frames = decoded(cut.take());
      cut.push(text("b"));
      // The latest piece is held back, so nothing is ready.
      expect(cut.ready.bytes).toBe(0);
      cut.push(text("c"));
      frames.push(...decoded(cut.take()));
      frames.push(...decoded(cut.finish(counted)));
      // What has gone out cannot be taken back: here two pieces had gone.
      expect(tokensOf(frames)).toBe(Math.max(expected, 2));
      expect(textOf(frames)).toBe("abc");
      expect(frames.every(({ payload }) => payload.length > 0)).toBe(true);
    }
  });

  it("digests exactly what it gave", () => {
    const cut = cutter(false, 2);
    const frames: Frame[] = [];
    cut.push(text("left", 1, 0));
    frames.push(...decoded(cut.take()));
    cut.push(text("right", 1, 1));
    cut.push({ type: "structured", choice: 1, delta: { delta: { reasoning_content: "hm" } }, tokens: 1 });
    frames.push(...decoded(cut.finish(null)));
    const digest = new ResponseDigest(salt, 2);
    for (const { kind, choice, payload } of frames) digest.update(kind, choice, payload);
    expect(cut.digest).toBe(digest.hex());
    expect(() => cut.push(text("x", 1, 2))).toThrow(RangeError);
  });
});

it("merges structured deltas as if they had come one after the other", () => {
  const call = (index: number, id: string | undefined, args: string) => ({
    index,
    ...(id === undefined ? {} : { id, type: "function" as const }),
    function: { ...(id === undefined ? {} : { name: `f${index}` }), arguments: args },
  });
  const deltas: StructuredDelta[] = [
    { delta: { reasoning_content: "a", tool_calls: [call(0, "x", "{")] }, logprobs: { content: [{ token: "1" }] } },
    { delta: { reasoning_content: "b", tool_calls: [call(0, undefined, "}"), call(1, "y", "[]")] } },
    { delta: { refusal: "no" }, logprobs: { content: [{ token: "2" }] } },
    { logprobs: null },
  ];
  expect(deltas.reduce(mergeDeltas)).toEqual({
    delta: { reasoning_content: "ab", refusal: "no", tool_calls: [call(0, "x", "{}"), call(1, "y", "[]")] },
    logprobs: { content: [{ token: "1" }, { token: "2" }] },
  });
});
