import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type AccountId,
  base62,
  base62Length,
  holdSlot,
  holdSlots,
  id128,
  isId128,
  jobIdFloor,
  jobTime,
  keyedJobId,
  newJobId,
  parseBase62,
} from "../../../core/ids.ts";

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const time = fc.integer({ min: 0, max: 2 ** 48 - 1 });
const DAY = 86_400_000;
const GREATEST = "7n42DGM5Tflk9n8mt7Fhc7";

describe("base62", () => {
  it("is as long as its bytes need", () => {
    expect([10, 16, 32].map(base62Length)).toEqual([14, 22, 43]);
    expect(base62(new Uint8Array(16))).toBe("0".repeat(22));
    expect(base62(new Uint8Array(16).fill(255))).toBe(GREATEST);
  });

  it("is read back, and is in the order of its bytes", () => {
    fc.assert(
      fc.property(bytes(16), bytes(16), (a, b) => {
        expect(parseBase62(base62(a), 16)).toEqual(a);
        const order = Math.sign(Buffer.compare(a, b));
        const textOrder = base62(a) < base62(b) ? -1 : base62(a) > base62(b) ? 1 : 0;
        expect(textOrder).toBe(order);
      }),
    );
  });

  it.each([
    ["too short", "0".repeat(21)],
    ["too long", "0".repeat(23)],
    ["another alphabet", `${"0".repeat(21)}-`],
    ["more than its bytes hold", "8".padEnd(22, "0")],
    ["one more than its bytes hold", "7n42DGM5Tflk9n8mt7Fhc8"],
    ["a line break behind it", `${"0".repeat(22)}\n`],
    ["nothing", ""],
  ])("refuses %s", (_, text) => {
    expect(parseBase62(text, 16)).toBeNull();
    expect(isId128(text)).toBe(false);
  });

  it("is an id exactly where it can be read", () => {
    const digits = fc.string({ unit: fc.constantFrom(..."0789AZaz-é"), minLength: 21, maxLength: 23 });
    const near = fc.nat(21).map((index) => `${GREATEST.slice(0, index)}z${GREATEST.slice(index + 1)}`);
    fc.assert(
      fc.property(fc.oneof(digits, near, fc.constant(GREATEST), bytes(16).map(base62)), (text) => {
        expect(isId128(text)).toBe(parseBase62(text, 16) !== null);
      }),
    );
  });
});

describe("a job id", () => {
  it("keeps its time, and sorts by it", () => {
    fc.assert(
      fc.property(time, time, bytes(10), bytes(10), (early, late, a, b) => {
        const [first, second] = [newJobId(early, a), keyedJobId(late, b)];
        expect([jobTime(first), jobTime(second)]).toEqual([early, late]);
        expect(isId128(first) && isId128(second)).toBe(true);
        if (early !== late) expect(first < second).toBe(early < late);
        expect(jobIdFloor(early) <= first).toBe(true);
        expect(early === 0 || first > newJobId(early - 1, new Uint8Array(10).fill(255))).toBe(true);
      }),
    );
  });

  it("takes the first ten bytes of a longer fingerprint, and refuses a shorter one or no time", () => {
    const long = Uint8Array.from({ length: 32 }, (_, index) => index);
    expect(keyedJobId(5, long)).toBe(keyedJobId(5, long.subarray(0, 10)));
    expect(() => newJobId(5, new Uint8Array(9))).toThrow(RangeError);
    for (const wrong of [-1, 0.5, Number.NaN, 2 ** 48]) expect(() => newJobId(wrong, long)).toThrow(RangeError);
    expect(() => jobTime("x" as ReturnType<typeof newJobId>)).toThrow(RangeError);
    expect(() => id128<AccountId>(new Uint8Array(15))).toThrow(RangeError);
    expect(id128<AccountId>(new Uint8Array(16))).toBe("0".repeat(22));
  });
});

describe("the place of a hold", () => {
  it("of a random job is its id", () => {
    fc.assert(
      fc.property(time, bytes(10), (at, random) => {
        const job = newJobId(at, random);
        expect(holdSlot(job)).toBe(job);
        expect(holdSlots(job)).toEqual([job]);
      }),
    );
  });

  it("of a keyed job depends on its key and day alone", () => {
    const moment = fc.integer({ min: DAY, max: 2 ** 48 - 1 - 3 * DAY });
    fc.assert(
      fc.property(moment, fc.nat(DAY - 1), bytes(10), (at, later, fingerprint) => {
        const start = Math.floor(at / DAY) * DAY;
        const [first, again, next, after] = [start, start + later, start + DAY, start + 2 * DAY].map((when) =>
          holdSlots(keyedJobId(when, fingerprint)),
        );
        expect(again).toEqual(first);
        // The day after still finds today's job; the day after that no longer does.
        expect(next?.[1]).toBe(first?.[0]);
        expect(after).not.toContain(first?.[0]);
      }),
    );
  });

  it("differs for different keys, and never is a random job's", () => {
    const other = Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(holdSlot(keyedJobId(DAY, other))).not.toBe(holdSlot(keyedJobId(DAY, new Uint8Array(10))));
    expect(holdSlot(keyedJobId(DAY, other))).toMatch(/^k000001\/[0-9A-Za-z]{14}$/);
    // A job id starts with 0 to 7, so places of the two kinds don't mix.
    expect(newJobId(2 ** 48 - 1, new Uint8Array(10).fill(255))[0]).toBe("7");
  });
});
