/** One job from all sides: who called for it, who served it, what was reserved for it, and how it ended. */

import type { JobId } from "../../../core/ids.ts";
import type { Attempt } from "./attempt.ts";
import type { Call } from "./call.ts";
import type { Moment } from "./history.ts";

/** What an account reserved for a job: a row of its `holds`. */
export interface Held {
  readonly job: JobId;
  /** SHA-256 of the call's body. */
  readonly body: string;
  readonly price: number;
  readonly promptBound: number;
  readonly completionCap: number;
  readonly expiresAt: number;
}

/** The entry that ended a job, and when it was first seen in its account. */
export interface Ending extends Moment {
  readonly type: "spent" | "void" | "hold_expired";
  readonly body: string;
}

export interface Job {
  readonly id: JobId;
  /** The calls that may have made it: more than one where they have the same Idempotency-Key. */
  readonly calls: Call[];
  readonly attempts: Attempt[];
  /** When its consumer asked for its end by its id. */
  readonly deletes: Moment[];
  held: Held | null;
  readonly endings: Ending[];
  /** The bodies of receipts that took its receipt back. */
  readonly reversals: string[];
}

/** When the first call of a job was made. */
export function bornAt(job: Job): Moment {
  const [first] = job.calls.map((call) => call.started).toSorted((a, b) => a.tick - b.tick);
  if (first === undefined) throw new Error(`nobody called for job ${job.id}`);
  return first;
}

/** The moments at which a job's consumer may have stopped it, before a tick. */
export function cutsOf(job: Job, before: number): Moment[] {
  const aborts = job.calls.flatMap((call) => (call.aborted === null ? [] : [call.aborted]));
  return [...aborts, ...job.deletes].filter(({ tick }) => tick < before).toSorted((a, b) => a.tick - b.tick);
}

/** A job's history as text, for who has to understand why it ended as it did. */
export function storyOf(job: Job): string {
  const at = ({ tick, at }: Moment): string => `#${tick} ${at - bornAt(job).at} ms`;
  const lines = [
    ...job.calls.map(
      (call) => [call.started, `call ${JSON.stringify(call.asked)}, ${JSON.stringify(call.outcome)}`] as const,
    ),
    ...cutsOf(job, Number.POSITIVE_INFINITY).map((cut) => [cut, "stopped by its consumer"] as const),
    ...job.attempts.flatMap((attempt) => {
      const name = `attempt ${attempt.fence}`;
      const { received, accepted, frames, word, stopped, gone, confirmed } = attempt;
      return [
        [received, `${name} was given`] as const,
        ...(accepted === null ? [] : [[accepted, `${name} accepted`] as const]),
        ...frames.map((frame) => [frame, `${name} said ${JSON.stringify(frame.text)}`] as const),
        ...confirmed.map((seen) => [seen, `${name} was heard up to frame ${seen.frames}`] as const),
        ...(word === null ? [] : [[word, `${name} ended with ${JSON.stringify(word)}`] as const]),
        ...(stopped === null ? [] : [[stopped, `${name} was told to stop`] as const]),
        ...(gone === null ? [] : [[gone, `${name} was lost`] as const]),
      ];
    }),
    ...job.endings.map((ending) => [ending, `${ending.type} ${ending.body}`] as const),
  ];
  return lines
    .toSorted(([a], [b]) => a.tick - b.tick)
    .map(([moment, text]) => `${at(moment)}: ${text}`)
    .join("\n");
}
