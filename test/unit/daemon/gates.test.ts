import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  closedOf,
  type GateRules,
  type Gates,
  nextGates,
  type Readings,
  SETTLE_MS,
  thermalOf,
} from "../../../daemon/conditions/gates.ts";
import {
  machineReader,
  parsePmset,
  parsePowerLine,
  parseTemperatures,
  readSupplies,
} from "../../../daemon/conditions/machine.ts";
import { parseSchedule } from "../../../daemon/conditions/schedule.ts";
import { tempFolder } from "./bench.ts";

const NONE: GateRules = { schedule: null, onAcOnly: false, maxGpuCelsius: null };
const UNKNOWN: Readings = { onAcPower: null, gpu: null };
const gpu = (celsius: number, throttled = false): Readings => ({ onAcPower: true, gpu: { celsius, throttled } });
const ac = (onAcPower: boolean | null): Readings => ({ onAcPower, gpu: null });

/** What is closed after each reading, which come at these times. */
function play(rules: Partial<GateRules>, readings: readonly [now: number, reading: Readings][]): string[] {
  let gates: Gates | null = null;
  return readings.map(([now, reading]) => {
    gates = nextGates(gates, { ...NONE, ...rules }, reading, now);
    return closedOf(gates).join(" ");
  });
}

describe("gates", () => {
  it("are none where no rule makes one", () => {
    expect(play({}, [[0, { onAcPower: false, gpu: { celsius: 110, throttled: true } }]])).toEqual([""]);
  });

  it("are open at the start where the condition holds, and closed where it does not", () => {
    expect(play({ onAcOnly: true }, [[0, ac(true)]])).toEqual([""]);
    expect(play({ onAcOnly: true }, [[0, ac(false)]])).toEqual(["ac_power"]);
  });

  it("close at once, and open only after the reading was good for a while", () => {
    const closed = "ac_power";
    const readings: [number, Readings][] = [
      [0, ac(true)],
      [1, ac(false)],
      [2, ac(true)],
      [SETTLE_MS + 1, ac(true)],
      [SETTLE_MS + 2, ac(true)],
    ];
    expect(play({ onAcOnly: true }, readings)).toEqual(["", closed, closed, closed, ""]);
  });

  it("begin to count anew when the reading was bad in between", () => {
    const closed = "ac_power";
    const readings: [number, Readings][] = [
      [0, ac(false)],
      [10, ac(true)],
      [20, ac(false)],
      [30, ac(true)],
      [10 + SETTLE_MS, ac(true)],
      [30 + SETTLE_MS, ac(true)],
    ];
    expect(play({ onAcOnly: true }, readings)).toEqual([closed, closed, closed, closed, closed, ""]);
  });

  it("stay as they are while the machine does not tell, and are open where it never did", () => {
    expect(play({ onAcOnly: true, maxGpuCelsius: 80 }, [[0, UNKNOWN]])).toEqual([""]);
    const readings: [number, Readings][] = [
      [0, ac(false)],
      [SETTLE_MS * 5, UNKNOWN],
    ];
    expect(play({ onAcOnly: true }, readings)).toEqual(["ac_power", "ac_power"]);
  });

  it("let a GPU cool down below its bound before they open", () => {
    const closed = "gpu_temperature";
    const readings: [number, Readings][] = [
      [0, gpu(80)],
      [1, gpu(81)],
      [SETTLE_MS * 2, gpu(79)],
      [SETTLE_MS * 4, gpu(76)],
      [SETTLE_MS * 6, gpu(75)],
      [SETTLE_MS * 7, gpu(75)],
      [SETTLE_MS * 8, gpu(80)],
    ];
    expect(play({ maxGpuCelsius: 80 }, readings)).toEqual(["", closed, closed, closed, closed, "", ""]);
  });

  it("follow a schedule to the minute, and say all that is closed", () => {
    const schedule = parseSchedule("mon 09:00-10:00", "UTC");
    const at = (time: string): number => Date.parse(`2026-11-23T${time}Z`);
    const readings: [number, Readings][] = [
      [at("08:59:59"), ac(false)],
      [at("09:00:00"), ac(true)],
      [at("09:00:30"), ac(true)],
      [at("10:00:00"), ac(true)],
    ];
    expect(play({ schedule, onAcOnly: true }, readings)).toEqual(["schedule ac_power", "ac_power", "", "schedule"]);
  });
});

it("calls a GPU warm near its bound, and throttled where it slows down", () => {
  const bounded = { ...NONE, maxGpuCelsius: 70 };
  expect([59, 60, 90].map((celsius) => thermalOf(gpu(celsius), bounded))).toEqual(["nominal", "warm", "warm"]);
  expect([79, 80].map((celsius) => thermalOf(gpu(celsius), NONE))).toEqual(["nominal", "warm"]);
  expect(thermalOf(gpu(50, true), NONE)).toBe("throttled");
  expect(thermalOf(UNKNOWN, bounded)).toBeNull();
});

describe("what is read of the machine", () => {
  /** A folder as Linux has it. */
  function supplies(all: Record<string, Record<string, string>>): string {
    const folder = tempFolder();
    for (const [name, files] of Object.entries(all)) {
      mkdirSync(join(folder, name));
      for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, name, file), `${text}\n`);
    }
    return folder;
  }

  it.each([
    ["a charger that is in", { AC: { type: "Mains", online: "1" }, BAT0: { type: "Battery", status: "Full" } }, true],
    [
      "one that is out",
      { AC: { type: "Mains", online: "0" }, BAT0: { type: "Battery", status: "Discharging" } },
      false,
    ],
    ["two of which one is in", { AC: { type: "Mains", online: "0" }, ucsi: { type: "USB", online: "1" } }, true],
    ["a battery alone", { BAT0: { type: "Battery", status: "Discharging" } }, false],
    ["one that charges", { BAT0: { type: "Battery", status: "Charging" } }, true],
    ["a mouse's battery", { hid: { type: "Battery", scope: "Device", status: "Discharging" } }, null],
    ["nothing", {}, null],
  ])("on Linux: %s", async (_, all, expected) => {
    expect(await readSupplies(supplies(all as unknown as Record<string, Record<string, string>>))).toBe(expected);
  });

  it("on Linux without such a folder, and on other systems", async () => {
    expect(await readSupplies(join(tempFolder(), "missing"))).toBeNull();
    expect(parsePmset("Now drawing from 'AC Power'\n -InternalBattery-0 (id=1)\t100%; charged")).toBe(true);
    expect(parsePmset("Now drawing from 'Battery Power'\n -InternalBattery-0 (id=1)\t80%; discharging")).toBe(false);
    expect(parsePmset("")).toBeNull();
    expect(["Online\r\n", "Offline\r\n", "Unknown\r\n", ""].map(parsePowerLine)).toEqual([true, false, null, null]);
  });

  it("the hottest GPU, and whether one slows down", () => {
    expect(parseTemperatures("61, Not Active, Not Active\n74, Not Active, Active\n")).toEqual({
      celsius: 74,
      throttled: true,
    });
    expect(parseTemperatures("61, Not Active, Not Active\n")).toEqual({ celsius: 61, throttled: false });
    expect(parseTemperatures("61, [N/A], [N/A]")).toEqual({ celsius: 61, throttled: false });
    expect([parseTemperatures(""), parseTemperatures("No devices were found")]).toEqual([null, null]);
  });

  it("is asked of a GPU's driver again and again where there is one, and once where there is none", async () => {
    const asked: string[] = [];
    const reader = (answers: (string | null)[]) =>
      machineReader("darwin", (program) => {
        asked.push(program);
        return Promise.resolve(program === "pmset" ? "Now drawing from 'Battery Power'" : (answers.shift() ?? null));
      });
    const read = reader(["50, Not Active, Not Active", null, "51, Not Active, Not Active"]);
    expect([await read(), await read(), await read()]).toMatchObject([
      { onAcPower: false, gpu: { celsius: 50 } },
      { onAcPower: false, gpu: null },
      { onAcPower: false, gpu: { celsius: 51 } },
    ]);
    asked.length = 0;
    const without = reader([]);
    await without();
    await without();
    expect(asked.filter((program) => program === "nvidia-smi")).toHaveLength(1);
  });
});
