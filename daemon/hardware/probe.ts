/** What the machine is: the GPU by nvidia-smi where there is one, else the CPU. Declared to the network, which caps it. */

import { cpus } from "node:os";
import type { Offer, Tier } from "../../protocol/daemon/messages.ts";
import { type Run, runProgram } from "./run-program.ts";

export type Hardware = Offer["hardware"];

const SMI_QUERY = ["--query-gpu=name,memory.total,power.limit", "--format=csv,noheader,nounits"];
/** What a desktop's processor draws under load, where nothing measures it. */
const CPU_WATTS = 65;
const NAME_CHARACTERS = 128;

/** Probes the hardware. `watts` is what the operator declares, and goes before what the driver says. */
export async function probeHardware(tier: Tier, watts: number | null, run: Run = runProgram): Promise<Hardware> {
  const gpu = parseSmi((await run("nvidia-smi", SMI_QUERY)) ?? "");
  if (gpu !== null) return { tier, gpu: gpu.name, vram_mb: gpu.vramMb, watts: watts ?? gpu.watts ?? CPU_WATTS };
  const cpu = cpus()[0]?.model.trim() ?? "";
  return { tier, gpu: (cpu || "CPU").slice(0, NAME_CHARACTERS), vram_mb: null, watts: watts ?? CPU_WATTS };
}

/** Several GPUs that serve together count as one with their memory and power. */
export function parseSmi(output: string): { name: string; vramMb: number; watts: number | null } | null {
  const rows = output
    .split("\n")
    .map((line) => line.split(",").map((cell) => cell.trim()))
    .filter((cells) => cells.length === 3 && /^\d+$/.test(cells[1] ?? ""));
  const first = rows[0]?.[0];
  if (first === undefined) return null;
  const name = rows.length === 1 ? first : `${rows.length} × ${first}`;
  const watts = rows.reduce((sum, cells) => sum + (Number.parseFloat(cells[2] ?? "") || 0), 0);
  const vramMb = rows.reduce((sum, cells) => sum + Number(cells[1]), 0);
  return { name: name.slice(0, NAME_CHARACTERS), vramMb, watts: watts > 0 ? watts : null };
}
