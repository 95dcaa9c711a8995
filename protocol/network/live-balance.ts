/**
 * The balance in real time: what `GET /api/v1/balance/live` says, over a WebSocket as JSON texts and over SSE as events.
 * A snapshot replaces what a watcher knows, a change adds to it, and an end says why nothing follows.
 */

import { z } from "zod";
import { LIMITS } from "../../core/limits.ts";
import { balance, balanceAllotment, balanceLot, balancePackages } from "./account.ts";
import { credits, time } from "./common.ts";

/** The WebSocket's subprotocol. A browser, which can set no headers, offers its API key as a second one. */
export const LIVE_SUBPROTOCOL = "tollmill.balance.v1";

/** A state of an account: the last entry of its chain, and how many jobs it has begun. Every change moves one of them. */
export interface Mark {
  readonly seq: number;
  readonly order: number;
}

/** The id of a message: a watcher that comes back names the last one it has. */
export function markText({ seq, order }: Mark): string {
  return `${seq}.${order}`;
}

/** The inverse of {@link markText}; null for another text. */
export function parseMark(text: string): Mark | null {
  const [, seq, order] = /^(\d{1,15})\.(\d{1,15})$/.exec(text) ?? [];
  return seq === undefined || order === undefined ? null : { seq: Number(seq), order: Number(order) };
}

export const liveId = z
  .string()
  .refine((text) => parseMark(text) !== null, "must be the id of a message, such as 12.7")
  .meta({ type: "string", description: "The last message that the watcher has.", example: "12.7" });

const since = {
  id: z.string().meta({ description: "The account's state that this message leads to.", example: "12.7" }),
  at: time,
  entries: z
    .array(
      z.object({
        seq: z.int().meta({ example: 12 }),
        type: z.string().meta({ example: "spent" }),
        job: z.string().nullable().meta({ description: "The job that it ended, if it ended one." }),
      }),
    )
    .meta({ description: "The ledger's entries that caused it, oldest first." }),
  unlisted: z.int().meta({
    description: `Older entries that are not listed, as at most ${LIMITS.liveEntries} are: GET /api/v1/ledger has them.`,
    example: 0,
  }),
  jobs_begun: z.int().meta({ description: "Jobs that began and reserved credits; they leave no entry.", example: 1 }),
  ack: z.string().optional().meta({
    description: 'WebSocket only: answer `{"type":"ack","ack":…}` with this text, as proof that you read.',
  }),
};

export const liveSnapshot = balance.extend({ type: z.literal("snapshot"), ...since });

export const liveChange = z.object({
  type: z.literal("change"),
  available: credits,
  held: credits,
  open_jobs: z.int(),
  packages: balancePackages,
  allotment: balanceAllotment,
  lots: z.array(balanceLot).meta({
    description: "The lots that changed, as they are now. One with nothing available and nothing held is gone.",
  }),
  ...since,
});

export const liveEnd = z.object({
  type: z.literal("end"),
  code: z.string().meta({ description: "`reconnect`, or the code of an error.", example: "reconnect" }),
  message: z.string(),
});

export const liveMessage = z.discriminatedUnion("type", [liveSnapshot, liveChange, liveEnd]);
export type LiveMessage = z.infer<typeof liveMessage>;
export type LiveSince = Omit<
  z.infer<typeof liveChange>,
  "type" | "available" | "held" | "open_jobs" | "packages" | "allotment" | "lots" | "ack"
>;

/** The answer to a message with `ack`. */
export function ackText(ack: string): string {
  return JSON.stringify({ type: "ack", ack });
}

const acknowledgement = z.object({ type: z.literal("ack"), ack: z.string() });

/** What a watcher acknowledges, or null where the text says something else. */
export function readAck(text: string): string | null {
  if (text.length > LIMITS.liveAckCharacters) return null;
  try {
    return acknowledgement.safeParse(JSON.parse(text)).data?.ack ?? null;
  } catch {
    return null;
  }
}
