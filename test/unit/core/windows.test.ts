import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { GENESIS_PARAMETERS } from "../../../core/parameters.ts";
import { firstUnsettledWindow, WINDOW_MS, windowOf } from "../../../core/windows.ts";

const HOUR = 3_600_000;
const delay = GENESIS_PARAMETERS.settlementDelayMs;
const close = (appended: string) => new Date(windowOf(Date.parse(appended), delay)).toISOString();

describe("a receipt's window (economics.md §11)", () => {
  it("is the first close at least an hour after it was appended", () => {
    expect(delay).toBe(HOUR);
    expect(close("2026-11-22T00:00:00.000Z")).toBe("2026-11-22T06:00:00.000Z");
    expect(close("2026-11-22T04:59:59.999Z")).toBe("2026-11-22T06:00:00.000Z");
    expect(close("2026-11-22T05:00:00.000Z")).toBe("2026-11-22T06:00:00.000Z");
    expect(close("2026-11-22T05:00:00.001Z")).toBe("2026-11-22T12:00:00.000Z");
  });

  it.each([
    ["the end of a day", "2026-11-22T23:30:00.000Z", "2026-11-23T06:00:00.000Z"],
    ["the end of a year", "2026-12-31T23:00:00.000Z", "2027-01-01T00:00:00.000Z"],
    ["just after it", "2026-12-31T23:00:00.001Z", "2027-01-01T06:00:00.000Z"],
    ["a leap day", "2028-02-29T12:00:00.000Z", "2028-02-29T18:00:00.000Z"],
    ["the way into a leap day", "2028-02-28T22:59:00.000Z", "2028-02-29T00:00:00.000Z"],
    ["the way out of a leap day", "2028-02-29T23:00:01.000Z", "2028-03-01T06:00:00.000Z"],
    ["a February without one", "2027-02-28T23:00:00.000Z", "2027-03-01T00:00:00.000Z"],
    ["a century without one", "2100-02-28T23:00:00.000Z", "2100-03-01T00:00:00.000Z"],
    ["a summer-time change, which UTC does not know", "2026-03-29T01:30:00.000Z", "2026-03-29T06:00:00.000Z"],
  ])("is right at %s", (_, appended, window) => {
    expect(close(appended)).toBe(window);
  });

  it("closes at 00, 06, 12 or 18 UTC, no sooner than the delay, and no later than a window after it", () => {
    const moments = fc.date({ min: new Date(0), max: new Date("2200-01-01"), noInvalidDate: true });
    fc.assert(
      fc.property(moments, fc.nat(7 * 24 * HOUR), (appended, wait) => {
        const window = new Date(windowOf(appended.getTime(), wait));
        expect([0, 6, 12, 18]).toContain(window.getUTCHours());
        expect(window.getUTCMinutes() + window.getUTCSeconds() + window.getUTCMilliseconds()).toBe(0);
        const after = window.getTime() - appended.getTime() - wait;
        expect(after >= 0 && after < WINDOW_MS).toBe(true);
      }),
    );
  });

  it.each([
    [-1, 0],
    [0, -1],
    [0.5, 0],
    [Number.NaN, 0],
    [Number.MAX_SAFE_INTEGER, 1],
  ])("refuses the time %d with the delay %d", (at, wait) => {
    expect(() => windowOf(at, wait)).toThrow(RangeError);
  });
});

describe("what is settled", () => {
  it("is a window from its close on", () => {
    const close = Date.parse("2026-11-22T12:00:00.000Z");
    expect(firstUnsettledWindow(close - 1)).toBe(close);
    expect(firstUnsettledWindow(close)).toBe(close + WINDOW_MS);
    expect(firstUnsettledWindow(close + 1)).toBe(close + WINDOW_MS);
  });

  it("is no window that a receipt joins now, whatever the delay", () => {
    const times = fc.nat(2 ** 41);
    fc.assert(
      fc.property(times, fc.nat(7 * 24 * HOUR), (now, wait) => {
        // One that is appended with no delay at the very moment of a close joins that close, and is settled with it.
        if (wait > 0) expect(windowOf(now, wait)).toBeGreaterThanOrEqual(firstUnsettledWindow(now));
      }),
    );
  });
});
