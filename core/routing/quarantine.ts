/** A daemon that gets no jobs until it has passed its probes (economics.md §9). */

export const HOUR_MS = 3_600_000;

/** Probes that have to be passed in a row, each in another hour. */
export const PROBE_PASSES = 3;

export const QUARANTINE_REASONS = ["failed_verification", "unreliable"] as const;
export type QuarantineReason = (typeof QUARANTINE_REASONS)[number];

export interface Quarantine {
  readonly why: QuarantineReason;
  /** Milliseconds since 1970. */
  readonly since: number;
  /** The next probe is not before this. */
  readonly probeAt: number;
  /** Probes passed in a row. */
  readonly passed: number;
}

/**
 * What a probe showed. A daemon that was not there, or did not take the job, has shown nothing: it stays where it is, and is
 * asked again in the next hour.
 */
export type ProbeResult = "passed" | "failed" | "failed_verification" | "nothing";

/** Begins a quarantine, or begins the one that is on again after another failed verification. `random` is from 0 to below 1. */
export function quarantined(why: QuarantineReason, before: Quarantine | null, now: number, random: number): Quarantine {
  return { why, since: before?.since ?? now, probeAt: before?.probeAt ?? inNextHour(now, random), passed: 0 };
}

/** What follows from a probe: the quarantine as it goes on, or null where it is over. */
export function probed(before: Quarantine, result: ProbeResult, now: number, random: number): Quarantine | null {
  const passed = result === "passed" ? before.passed + 1 : result === "nothing" ? before.passed : 0;
  if (passed >= PROBE_PASSES) return null;
  const why = result === "failed_verification" ? result : before.why;
  return { why, since: before.since, probeAt: inNextHour(now, random), passed };
}

/** A daemon comes back whose probe was due meanwhile: it has another time, which nobody knows either. */
export function postponed(before: Quarantine, now: number, random: number): Quarantine {
  return before.probeAt > now ? before : { ...before, probeAt: inNextHour(now, random) };
}

/** Some time in the hour that follows this one: so each probe is in another hour, and nobody knows when. */
function inNextHour(now: number, random: number): number {
  return (Math.floor(now / HOUR_MS) + 1) * HOUR_MS + Math.floor(random * HOUR_MS);
}
