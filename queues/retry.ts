/** What happens when a batch cannot be handled now. */

import { LIMITS } from "../core/limits.ts";

/** Asks for every message of a batch again, later each time, and returns the cause as text for the events. */
export function retryLater(batch: MessageBatch, cause: unknown): string {
  for (const message of batch.messages) message.retry({ delaySeconds: retryDelaySeconds(message.attempts) });
  return cause instanceof Error ? cause.message : "unknown failure";
}

/** 10 s, 40 s, 160 s and so on, at most what the platform allows. `attempts` counts from 1. */
export function retryDelaySeconds(attempts: number): number {
  return Math.min(LIMITS.queueRetryMaxSeconds, LIMITS.queueRetrySeconds * 4 ** Math.max(0, attempts - 1));
}
