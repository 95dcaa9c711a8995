/** What a process and all its descendants have used, from /proc. Elsewhere than on Linux there is nothing to read. */

import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** Clock ticks a second in /proc: 100 on every Linux that Node runs on. */
const TICKS = 100;

/** The process and its descendants. */
export function treeOf(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of list("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const parent = Number(statOf(Number(name))?.[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const tree = [root];
  for (const pid of tree) tree.push(...(children.get(pid) ?? []));
  return tree;
}

/** The runtimes among processes: the program that starts workerd serves nothing itself. All of them where none is workerd. */
export function runtimesOf(pids: readonly number[]): readonly number[] {
  const runtimes = pids.filter((pid) => read(`/proc/${pid}/comm`)?.startsWith("workerd") === true);
  return runtimes.length > 0 ? runtimes : pids;
}

/** CPU time of these processes, user and system, in microseconds; null where it cannot be read. */
export function cpuMicros(pids: readonly number[]): number | null {
  const stats = pids.map(statOf).filter((stat) => stat !== null);
  if (stats.length === 0) return null;
  const ticks = stats.reduce((total, stat) => total + Number(stat[11]) + Number(stat[12]), 0);
  return (ticks / TICKS) * 1e6;
}

/** The sum of their peak resident sizes in bytes; null where it cannot be read. */
export function peakBytes(pids: readonly number[]): number | null {
  const peaks = pids.map((pid) => /VmHWM:\s+(\d+) kB/.exec(read(`/proc/${pid}/status`) ?? "")?.[1]);
  const known = peaks.filter((peak) => peak !== undefined);
  return known.length === 0 ? null : known.reduce((total, peak) => total + Number(peak) * 1_024, 0);
}

/** The sum of their resident sizes in bytes; null where it cannot be read. */
export function residentBytes(pids: readonly number[]): number | null {
  const sizes = pids.map((pid) => /VmRSS:\s+(\d+) kB/.exec(read(`/proc/${pid}/status`) ?? "")?.[1]);
  const known = sizes.filter((size) => size !== undefined);
  return known.length === 0 ? null : known.reduce((total, size) => total + Number(size) * 1_024, 0);
}

/** The sockets that these processes have open. */
export function socketsOf(pids: readonly number[]): number {
  return pids.flatMap((pid) => list(`/proc/${pid}/fd`).filter((name) => isSocket(`/proc/${pid}/fd/${name}`))).length;
}

function isSocket(path: string): boolean {
  try {
    return readlinkSync(path).startsWith("socket:");
  } catch {
    return false;
  }
}

/** The fields of /proc/…/stat behind the name: state, parent, … */
function statOf(pid: number): string[] | null {
  const text = read(`/proc/${pid}/stat`);
  return text === null ? null : text.slice(text.lastIndexOf(")") + 2).split(" ");
}

function read(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
