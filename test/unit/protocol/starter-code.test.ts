import { expect, it } from "vitest";
import { parseStarterCode, starterCodes } from "../../../protocol/starter-code.ts";

const KEY = new Uint8Array(32).fill(7);
const EXPIRES = Date.UTC(2026, 11, 24);
const make = (batch: string, count = 1, key = KEY) => starterCodes(batch, count, EXPIRES, key);
const [CODE = ""] = make("meetup");

it("tells its id and its end, and is the same for the same batch and place", () => {
  expect(CODE).toMatch(/^tmc_[0-9A-Za-z]{51}$/);
  expect(parseStarterCode(CODE, KEY)).toEqual({ id: CODE.slice(4, 26), expiresAt: EXPIRES });
  expect(make("meetup", 3)[0]).toBe(CODE);
  // Whatever the batches are called: no two codes have one id.
  const all = ["meetup", "0/meetup", "1", "1/1"].flatMap((batch) => make(batch, 50));
  expect(new Set(all.map((code) => parseStarterCode(code, KEY)?.id)).size).toBe(200);
});

it("is of one network, and nobody makes or changes one", () => {
  expect(parseStarterCode(CODE, new Uint8Array(32).fill(8))).toBeNull();
  for (let place = 0; place < CODE.length; place++) {
    const other = CODE[place] === "0" ? "1" : "0";
    expect(parseStarterCode(CODE.slice(0, place) + other + CODE.slice(place + 1), KEY)).toBeNull();
  }
  for (const text of ["", "tmc_", `${CODE}0`, CODE.slice(1), "tmc_é".padEnd(CODE.length, "0")]) {
    expect(parseStarterCode(text, KEY)).toBeNull();
  }
});
