/**
 * When pending tokens are sent (interfaces.md §3): the first at once, then every `firstMs` during the first second, then
 * every `ms` or `tokens`, whichever comes first. A frame that grows large goes at any time.
 */

import { LIMITS } from "../../core/limits.ts";

export interface FlushParameters {
  readonly firstMs: number;
  readonly ms: number;
  readonly tokens: number;
}

export interface Flushed {
  /** When the first and the last frame went, in milliseconds; null before the first. */
  readonly first: number | null;
  readonly last: number | null;
}

const FIRST_STRETCH_MS = 1_000;
/** A quarter of what a frame may carry, so that one more piece never makes it too large. */
export const FLUSH_BYTES = LIMITS.daemonFrameBytes / 4;

/** Milliseconds until what is pending should go; 0 is now. */
export function flushDelay(
  flushed: Flushed,
  pending: { readonly tokens: number; readonly bytes: number },
  parameters: FlushParameters,
  now: number,
): number {
  if (flushed.first === null || flushed.last === null || pending.bytes >= FLUSH_BYTES) return 0;
  const early = now - flushed.first < FIRST_STRETCH_MS;
  if (!early && pending.tokens >= parameters.tokens) return 0;
  const due = flushed.last + (early ? parameters.firstMs : parameters.ms);
  const beat = Math.round(due / LIMITS.flushBeatMs) * LIMITS.flushBeatMs;
  return Math.max(0, beat - now);
}
