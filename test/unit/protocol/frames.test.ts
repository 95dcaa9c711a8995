import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LIMITS } from "../../../core/limits.ts";
import {
  decodeFrame,
  encodeFrame,
  FRAME_HEAD_BYTES,
  FRAME_MAX_TOKENS,
  type Frame,
} from "../../../protocol/daemon/frames.ts";

const frame: fc.Arbitrary<Frame> = fc.record({
  stream: fc.nat(0xffffffff),
  kind: fc.constantFrom<0 | 1>(0, 1),
  choice: fc.nat(0xff),
  tokens: fc.nat(FRAME_MAX_TOKENS),
  payload: fc.uint8Array({ maxLength: 64 }),
});

describe("a token frame", () => {
  it("is read back as it was written", () => {
    fc.assert(
      fc.property(frame, (each) => {
        expect(decodeFrame(encodeFrame(each))).toEqual(each);
      }),
    );
  });

  it("is read from any bytes without throwing, and any that is read is written the same again", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const decoded = decodeFrame(Uint8Array.from(bytes));
        if ("error" in decoded) expect(decoded.error).toMatch(/frame|kind/);
        else expect(encodeFrame(decoded)).toEqual(Uint8Array.from(bytes));
      }),
    );
  });

  it.each([
    ["stream", { stream: -1 }],
    ["stream", { stream: 2 ** 32 }],
    ["stream", { stream: 0.5 }],
    ["choice", { choice: 256 }],
    ["tokens", { tokens: FRAME_MAX_TOKENS + 1 }],
    ["tokens", { tokens: Number.NaN }],
  ])("is not written with a %s that does not fit: %j", (_, change) => {
    const base: Frame = { stream: 0, kind: 0, choice: 0, tokens: 0, payload: new Uint8Array() };
    expect(() => encodeFrame({ ...base, ...change })).toThrow(RangeError);
  });

  it("is refused past its limit, and not at it", () => {
    expect(decodeFrame(new Uint8Array(LIMITS.daemonFrameBytes))).not.toHaveProperty("error");
    expect(decodeFrame(new Uint8Array(LIMITS.daemonFrameBytes + 1))).toEqual({
      error: `a frame has at most ${LIMITS.daemonFrameBytes} bytes, this one has ${LIMITS.daemonFrameBytes + 1}`,
    });
    expect(decodeFrame(new Uint8Array(FRAME_HEAD_BYTES))).toMatchObject({ tokens: 0, payload: new Uint8Array() });
  });
});
