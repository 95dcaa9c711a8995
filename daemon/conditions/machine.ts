/** Reads of the machine what gates depend on: where its power comes from, and how hot its GPUs are. */

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Run, runProgram } from "../hardware/run-program.ts";
import type { Readings } from "./gates.ts";

/** Gives readings, again and again. Never throws: what cannot be read is null. */
export type Reader = () => Promise<Readings>;

/** Where Linux lists batteries and chargers. */
const SUPPLIES = "/sys/class/power_supply";
/** .NET's view of GetSystemPowerStatus: Online, Offline or Unknown. */
const WINDOWS_POWER =
  "Add-Type -AssemblyName System.Windows.Forms; [System.Windows.Forms.SystemInformation]::PowerStatus.PowerLineStatus";
const SMI_QUERY = [
  "--query-gpu=temperature.gpu,clocks_throttle_reasons.sw_thermal_slowdown,clocks_throttle_reasons.hw_thermal_slowdown",
  "--format=csv,noheader,nounits",
];

/** A reader of this machine. */
export function machineReader(platform = process.platform, run: Run = runProgram): Reader {
  // A machine without the driver's program at the start gets none while the daemon runs.
  let hasGpu: boolean | null = null;
  return async () => {
    const asked = hasGpu === false ? null : run("nvidia-smi", SMI_QUERY);
    const [onAcPower, smi] = await Promise.all([readPower(platform, run), asked]);
    hasGpu ??= smi !== null;
    return { onAcPower, gpu: parseTemperatures(smi ?? "") };
  };
}

async function readPower(platform: NodeJS.Platform, run: Run): Promise<boolean | null> {
  if (platform === "linux") return await readSupplies(SUPPLIES);
  if (platform === "darwin") return parsePmset((await run("pmset", ["-g", "batt"])) ?? "");
  if (platform !== "win32") return null;
  const args = ["-NoProfile", "-NonInteractive", "-Command", WINDOWS_POWER];
  return parsePowerLine((await run("powershell", args)) ?? "");
}

/**
 * Whether one of Linux's supplies that are no battery is online, or none of the batteries is being discharged where there
 * is nothing else. Null where there is neither, as on machines without a battery. Batteries of mice and the like do not count.
 */
export async function readSupplies(folder: string): Promise<boolean | null> {
  const names = await readdir(folder).catch(() => []);
  const read = async (name: string, file: string): Promise<string> =>
    await readFile(join(folder, name, file), "utf8").then(
      (text) => text.trim(),
      () => "",
    );
  const supplies = await Promise.all(
    names.map(async (name) => ({
      scope: await read(name, "scope"),
      type: await read(name, "type"),
      online: await read(name, "online"),
      status: await read(name, "status"),
    })),
  );
  const own = supplies.filter(({ scope }) => scope !== "Device");
  const lines = own.filter(({ type, online }) => type !== "Battery" && online !== "");
  if (lines.length > 0) return lines.some(({ online }) => online !== "0");
  const batteries = own.filter(({ type }) => type === "Battery");
  return batteries.length === 0 ? null : batteries.every(({ status }) => status !== "Discharging");
}

/** What `pmset -g batt` of macOS says. */
export function parsePmset(output: string): boolean | null {
  const source = /drawing from '(AC|Battery|UPS) Power'/.exec(output)?.[1];
  return source === undefined ? null : source === "AC";
}

/** What Windows says of its power line. */
export function parsePowerLine(output: string): boolean | null {
  const line = output.trim();
  return line === "Online" ? true : line === "Offline" ? false : null;
}

/** The hottest of the GPUs, and whether one of them slows down for it; null where none tells. */
export function parseTemperatures(output: string): Readings["gpu"] {
  const rows = output
    .split("\n")
    .map((line) => line.split(",").map((cell) => cell.trim()))
    .filter(([celsius]) => /^\d+$/.test(celsius ?? ""));
  if (rows.length === 0) return null;
  return {
    celsius: Math.max(...rows.map(([celsius]) => Number(celsius))),
    throttled: rows.some(([, ...slowdowns]) => slowdowns.includes("Active")),
  };
}
