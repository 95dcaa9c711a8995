import { describe, expect, it } from "vitest";
import { measured, measuredFloor, type SpeedSample, speedOf, told, UNMEASURED } from "../../../core/routing/speed.ts";

const job = {
  prompt: 1_000,
  completion: 101,
  firstFrame: 1,
  acceptedAt: 10_000,
  firstTokenAt: 10_500,
  lastTokenAt: 12_500,
};
const over = (samples: readonly SpeedSample[]) => samples.reduce(measured, UNMEASURED);

describe("the speed of a job", () => {
  it("counts what came after the first frame, and the prompt until then", () => {
    expect(speedOf(job)).toEqual({ decode: 50, prefill: 2_000 });
  });

  it.each([
    ["a short answer", { completion: 31 }, { decode: null, prefill: 2_000 }],
    ["a short prompt", { prompt: 255 }, { decode: 50, prefill: null }],
    ["an answer in one frame", { firstFrame: 101 }, { decode: null, prefill: 2_000 }],
    ["a clock that stood still", { lastTokenAt: 10_500, acceptedAt: 10_500 }, { decode: null, prefill: null }],
  ])("says nothing of %s", (_, changes, speed) => {
    expect(speedOf({ ...job, ...changes })).toEqual(speed);
  });
});

describe("the measured speed", () => {
  const fifty: SpeedSample = { decode: 50, prefill: null };

  it("counts from the fifth job on, and is their mean then", () => {
    expect(told(over([fifty, fifty, fifty, fifty]).decode)).toBeNull();
    const five = over([10, 20, 30, 40, 50].map((decode) => ({ decode, prefill: null })));
    expect(told(five.decode)).toBeCloseTo(30, 10);
    expect(told(five.prefill)).toBeNull();
  });

  it("moves by a fifth of the difference with each job after them", () => {
    const known = over([fifty, fifty, fifty, fifty, fifty]);
    expect(told(measured(known, { decode: 100, prefill: null }).decode)).toBeCloseTo(60, 10);
  });

  it("takes the place of what was declared in the electricity floor, each by itself", () => {
    const declared = {
      watts: 38,
      nano_usd_per_kwh: 120_000_000,
      decode_millitokens_per_second: 90_000,
      prefill_millitokens_per_second: 900_000,
    };
    expect(measuredFloor(declared, UNMEASURED)).toEqual(declared);
    const known = over([fifty, fifty, fifty, fifty, fifty]);
    expect(measuredFloor(declared, known)).toEqual({ ...declared, decode_millitokens_per_second: 50_000 });
  });
});
