import { describe, expect, it } from "vitest";
import { isWithin, parseSchedule } from "../../../daemon/conditions/schedule.ts";
import { run } from "./run-cli.ts";

/** Whether a schedule is open at moments in UTC. */
const open = (written: string, ...moments: string[]): boolean[] => {
  const schedule = parseSchedule(written, "UTC");
  return moments.map((moment) => isWithin(schedule, Date.parse(moment)));
};

// 23 November 2026 is a Monday.
describe("a schedule", () => {
  it("is open from a time until before another one, on the days that it names", () => {
    const at = ["2026-11-23T08:59:59Z", "2026-11-23T09:00:00Z", "2026-11-23T17:29:59Z", "2026-11-23T17:30:00Z"];
    expect(open("mon 09:00-17:30", ...at)).toEqual([false, true, true, false]);
    expect(open("tue-sun 9:00-17:30", ...at)).toEqual([false, false, false, false]);
    expect(open("09:00-17:30", ...at, "2026-11-29T10:00:00Z")).toEqual([false, true, true, false, true]);
  });

  it("is open whole days where it names no time, also over the week's end", () => {
    const days = [23, 24, 25, 26, 27, 28, 29].map((day) => `2026-11-${day}T12:00:00Z`);
    expect(open("sat-sun", ...days)).toEqual([false, false, false, false, false, true, true]);
    expect(open("sat-mon", ...days)).toEqual([true, false, false, false, false, true, true]);
    expect(open("mon wed fri", ...days)).toEqual([true, false, true, false, true, false, false]);
    expect(open("fri", "2026-11-27T00:00:00Z", "2026-11-27T23:59:59Z", "2026-11-28T00:00:00Z")).toEqual([
      true,
      true,
      false,
    ]);
  });

  it("goes on over midnight into the day after the last one that it names", () => {
    const written = "mon-fri 22:00-06:00";
    const nights = ["2026-11-23T21:59:00Z", "2026-11-23T22:00:00Z", "2026-11-24T05:59:00Z", "2026-11-24T06:00:00Z"];
    expect(open(written, ...nights)).toEqual([false, true, true, false]);
    // Friday's night ends on Saturday, and Monday morning is Sunday's night.
    expect(open(written, "2026-11-28T05:59:00Z", "2026-11-28T22:00:00Z", "2026-11-23T05:59:00Z")).toEqual([
      true,
      false,
      false,
    ]);
    expect(open("sun 22:00-06:00", "2026-11-23T05:59:00Z", "2026-11-23T06:00:00Z")).toEqual([true, false]);
    expect(open("mon 22:00-24:00", "2026-11-23T23:59:00Z", "2026-11-24T00:00:00Z")).toEqual([true, false]);
  });

  it("is open where one of its parts is, and one of the times of a part", () => {
    const written = "mon 08:00-09:00 12:00-13:00, wed";
    expect(open(written, "2026-11-23T08:30:00Z", "2026-11-23T10:00:00Z", "2026-11-23T12:30:00Z")).toEqual([
      true,
      false,
      true,
    ]);
    expect(open(written, "2026-11-25T03:00:00Z")).toEqual([true]);
  });

  it("follows the clocks of its zone, and says which one that is", () => {
    // 22:30 on Monday in Berlin, and 07:30 on Tuesday in Tokyo.
    expect(open("mon 22:00-23:00 in Europe/Berlin", "2026-11-23T21:30:00Z")).toEqual([true]);
    expect(open("tue 07:00-08:00 IN Asia/Tokyo", "2026-11-23T22:30:00Z")).toEqual([true]);
    expect(parseSchedule(" Mon-Fri  22:00-06:00 ,SAT-sun ", "Europe/Berlin").text).toBe(
      "mon-fri 22:00-06:00, sat-sun in Europe/Berlin",
    );
  });

  it("leaves the hour out that clocks skip, and takes the one twice that comes twice", () => {
    // In Berlin 29 March 2026 has no 02:00 to 03:00: at 01:00 UTC clocks go from 02:00 to 03:00.
    const skipped = ["2026-03-29T00:59:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:59:00Z", "2026-03-29T02:00:00Z"];
    expect(open("sun 02:00-03:00 in Europe/Berlin", ...skipped)).toEqual([false, false, false, false]);
    expect(open("sun 01:30-03:30 in Europe/Berlin", ...skipped)).toEqual([true, true, false, false]);
    // On 25 October 02:00 to 03:00 is from 00:00 to 02:00 UTC.
    const twice = ["2026-10-24T23:59:00Z", "2026-10-25T00:00:00Z", "2026-10-25T01:59:00Z", "2026-10-25T02:00:00Z"];
    expect(open("sun 02:00-03:00 in Europe/Berlin", ...twice)).toEqual([false, true, true, false]);
    // A night over the change ends by the wall's clock: 06:00 is 05:00 UTC in winter, 04:00 in summer.
    const night = "sat 22:00-06:00 in Europe/Berlin";
    expect(open(night, "2026-10-25T04:59:00Z", "2026-10-25T05:00:00Z")).toEqual([true, false]);
    expect(open(night, "2026-03-29T03:59:00Z", "2026-03-29T04:00:00Z")).toEqual([true, false]);
  });
});

describe("a schedule that cannot be read", () => {
  it.each([
    ["", "A part of the schedule is empty."],
    ["mon,,tue", "A part of the schedule is empty."],
    ["in Europe/Berlin", "A part of the schedule is empty."],
    ["mon-fry 22:00-06:00", '"mon-fry" is no day'],
    ["mon-tue-wed", '"mon-tue-wed" is no day'],
    ["montag", '"montag" is no day'],
    ["mon 25:00-26:00", '"25:00-26:00" is no time'],
    ["mon 09:60-10:00", '"09:60-10:00" is no time'],
    ["mon 24:00-06:00", '"24:00-06:00" is no time'],
    ["mon 09:00", '"09:00" is no time'],
    ["mon 9-17", '"9-17" is no time'],
    ["mon 09:00-10:00-11:00", '"09:00-10:00-11:00" is no time'],
    ["mon 09:00-09:00", '"09:00-09:00" ends when it begins'],
    ["mon 09:00-10:00 tue", 'In "mon 09:00-10:00 tue" the day "tue" comes after a time'],
    ["mon in Mars/Olympus", '"Mars/Olympus" is no time zone'],
    [Array(60).fill("mon").join(","), "A schedule has at most 256 characters."],
  ])("names what is wrong with %j, and shows a right one", (written, problem) => {
    expect(() => parseSchedule(written, "UTC")).toThrow(problem);
    expect(() => parseSchedule(written, "UTC")).toThrow('"mon-fri 22:00-06:00, sat-sun in Europe/Berlin"');
  });

  it("ends the command before anything is tried", async () => {
    const { code, err } = await run(["daemon", "--schedule", "mon-fry"]);
    expect(code).toBe(2);
    expect(err).toContain('"mon-fry" is no day');
  });
});
