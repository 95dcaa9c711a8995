/** Whether memory stays where it is: the trend while the load runs, and what is left when it has gone. */

import { slopeOf } from "../measure/statistics.ts";
import type { Memory, Sample } from "./sample.ts";

/** A trend is held to so many MB an hour, and nobody calls a rise a trend that is less than the noise. */
export interface Bound {
  readonly mbPerHour: number;
  readonly noiseMb: number;
}

/** At 144,000 jobs an hour 10 MB are 70 bytes a job: nothing that is kept for each job is as small. */
export const HEAP: Bound = { mbPerHour: 10, noiseMb: 1 };
/**
 * Resident memory also holds what V8 and the allocator keep free, which comes and goes. The warm-up has brought it to where
 * it stays (docs/performance.md, Soak); what is shorter than this says nothing of its trend.
 */
export const RESIDENT: Bound = { mbPerHour: 100, noiseMb: 25 };
export const RESIDENT_MINUTES = 20;
/** What may be left of the live heap after the drain, beyond what there was after the warm-up. */
export const MOST_HEAP_LEFT_MB = 8;

const MB = 1e6;

export interface Trend {
  readonly mbPerHour: number;
  /** How much that is in the time that was looked at. */
  readonly riseMb: number;
}

/** The trend over the last two thirds of the samples; null where nothing could be read. */
export function trendOf(samples: readonly Sample[], name: "heapBytes" | "residentBytes"): Trend | null {
  const points = samples.slice(Math.floor(samples.length / 3)).flatMap((sample) => {
    const bytes = sample[name];
    return bytes === null ? [] : [{ x: sample.at / 3_600, y: bytes / MB }];
  });
  const mbPerHour = slopeOf(points);
  const hours = (points.at(-1)?.x ?? 0) - (points[0]?.x ?? 0);
  return Number.isFinite(mbPerHour) ? { mbPerHour, riseMb: mbPerHour * hours } : null;
}

export function isFlat({ mbPerHour, riseMb }: Trend, bound: Bound): boolean {
  return mbPerHour <= bound.mbPerHour || riseMb <= bound.noiseMb;
}

/** MB of live heap after the drain less those after the warm-up; null where they could not be read. */
export function heapLeft(before: Memory, after: Memory): number | null {
  return before.heapBytes === null || after.heapBytes === null ? null : (after.heapBytes - before.heapBytes) / MB;
}
