/**
 * What has to hold for a daemon to take jobs. Each condition is a gate, decided from readings and the clock alone. A gate
 * closes at once; one that depends on a reading opens only after that was good for a while, so that a loose plug or a
 * temperature on the edge does not make the daemon come and go.
 */

import type { Thermal } from "../../protocol/daemon/messages.ts";
import { isWithin, type Schedule } from "./schedule.ts";

/** Their names, as an offer tells which ones are closed. */
export type Gate = "schedule" | "ac_power" | "gpu_temperature";

export interface GateRules {
  readonly schedule: Schedule | null;
  readonly onAcOnly: boolean;
  /** No jobs above this temperature of a GPU; null for no bound. */
  readonly maxGpuCelsius: number | null;
}

/** What was read of the machine; null where it does not tell. */
export interface Readings {
  readonly onAcPower: boolean | null;
  readonly gpu: { readonly celsius: number; readonly throttled: boolean } | null;
}

interface GateState {
  readonly isOpen: boolean;
  /** Since when its condition holds; milliseconds since 1970. */
  readonly goodSince: number | null;
}

/** The gates that the rules make. */
export type Gates = ReadonlyMap<Gate, GateState>;

/** How long a reading has to be good before its gate opens. */
export const SETTLE_MS = 30_000;
/** A GPU that was too hot counts as cool again from this far below its bound. */
const COOLER_BY = 5;
/** A GPU this close below its bound, or at this temperature where there is none, is warm. */
const WARM_WITHIN = 10;
const WARM_CELSIUS = 80;

/** The gates after new readings; `before` is null at the start, where what is good is open at once. */
export function nextGates(before: Gates | null, rules: GateRules, readings: Readings, now: number): Gates {
  return new Map(
    conditions(before, rules, readings, now).map(([gate, isGood, settleMs]) => [
      gate,
      nextState(before?.get(gate), isGood, settleMs, now),
    ]),
  );
}

function nextState(known: GateState | undefined, isGood: boolean, settleMs: number, now: number): GateState {
  if (!isGood) return { isOpen: false, goodSince: null };
  const goodSince = known?.goodSince ?? now;
  return { isOpen: known === undefined || known.isOpen || now - goodSince >= settleMs, goodSince };
}

/** The gates that are closed. */
export function closedOf(gates: Gates): Gate[] {
  return [...gates].flatMap(([gate, { isOpen }]) => (isOpen ? [] : [gate]));
}

/** How hot it is, as a status says it; null where nothing tells. */
export function thermalOf({ gpu }: Readings, { maxGpuCelsius }: GateRules): Thermal | null {
  if (gpu === null) return null;
  if (gpu.throttled) return "throttled";
  return gpu.celsius >= (maxGpuCelsius === null ? WARM_CELSIUS : maxGpuCelsius - WARM_WITHIN) ? "warm" : "nominal";
}

/**
 * Each gate that the rules make, whether its condition holds, and for how long it has to. What the machine does not tell
 * leaves its gate as it was, and counts as good at the start.
 */
function conditions(
  before: Gates | null,
  { schedule, onAcOnly, maxGpuCelsius }: GateRules,
  { onAcPower, gpu }: Readings,
  now: number,
): [gate: Gate, isGood: boolean, settleMs: number][] {
  const all: [Gate, boolean, number][] = [];
  if (schedule !== null) all.push(["schedule", isWithin(schedule, now), 0]);
  const wasOpen = (gate: Gate): boolean => before?.get(gate)?.isOpen ?? true;
  if (onAcOnly) all.push(["ac_power", onAcPower ?? wasOpen("ac_power"), SETTLE_MS]);
  if (maxGpuCelsius !== null) {
    const isOpen = wasOpen("gpu_temperature");
    const most = isOpen ? maxGpuCelsius : maxGpuCelsius - COOLER_BY;
    all.push(["gpu_temperature", gpu === null ? isOpen : gpu.celsius <= most, SETTLE_MS]);
  }
  return all;
}
