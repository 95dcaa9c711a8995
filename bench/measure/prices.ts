import { LIMITS } from "../../core/limits.ts";

/**
 * Cloudflare's list prices on the paid plan, beyond what the plan includes, in USD, as they were quoted elsewhere by
 * 2026-11-22. They were not checked against Cloudflare's own pages: do that before a decision rests on them.
 */
export const PRICES = {
  workerRequest: 0.3 / 1e6,
  workerCpuMs: 0.02 / 1e6,
  /** RPC calls, fetches and alarms; twenty WebSocket messages that come in count as one. */
  objectRequest: 0.15 / 1e6,
  webSocketMessagesPerRequest: 20,
  /** Wall-clock time that an object is awake, at the 128 MB that every object is billed for. */
  objectGbSecond: 12.5 / 1e6,
  objectGb: 0.128,
  objectRowRead: 0.001 / 1e6,
  objectRowWritten: 1 / 1e6,
  objectGbMonth: 0.2,
  d1RowRead: 0.001 / 1e6,
  d1RowWritten: 1 / 1e6,
  d1GbMonth: 0.75,
  /** For each 64 KB of a message: one when it is written, one when it is read, one when it is deleted. */
  queueOperation: 0.4 / 1e6,
  queueOperationsPerMessage: 3,
  r2ClassA: 4.5 / 1e6,
  r2GbMonth: 0.015,
} as const;

/** What a count on one machine cannot show. */
export const ASSUMPTIONS = {
  /** Streams that share a relay while it is awake; a relay that carries thirty costs what one does. */
  streamsPerRelay: 32,
  /** How long an account is awake for a job, in seconds: its calls take milliseconds of it. */
  accountAwakeSeconds: 0.02,
  /** A scheduler stays awake until the relay has reported the job; as if no two jobs overlapped, which is the worst case. */
  schedulerAwakeSeconds: 0.02 + LIMITS.leaseReportMs / 1_000,
} as const;
