/** What the shapes of the network API share: amounts, times, pages, problems (interfaces.md §2). */

import { z } from "zod";
import { LIMITS } from "../../core/limits.ts";
import { type Millicredits, type NanoUsd, parseCredits, parseUsd } from "../../core/units.ts";
import { clientId } from "../ids.ts";

/** Credits as a decimal string with three places. */
export const credits = z
  .string()
  .regex(/^-?\d{1,13}\.\d{3}$/)
  .meta({ description: "Credits, a decimal string with three places.", example: "1200.000" });

/** USD as a decimal string with nine places. */
export const usd = z
  .string()
  .regex(/^-?\d{1,7}\.\d{9}$/)
  .meta({ description: "USD, a decimal string with nine places.", example: "0.000080000" });

export const time = z.iso.datetime().meta({ description: "RFC 3339, in UTC.", example: "2026-11-23T12:00:00.000Z" });

/** Milliseconds since 1970 as RFC 3339 in UTC. */
export function timeText(ms: number): string {
  return new Date(ms).toISOString();
}

/** Text of a person's, which is kept in canonical form and so must be well-formed Unicode. */
export function personText(least: number, most: number) {
  return z
    .string()
    .min(least)
    .max(most)
    .refine((text) => text.isWellFormed(), "must be well-formed Unicode, without halves of surrogate pairs");
}

/** A positive amount of credits that a caller writes. */
export const creditsInput = z
  .string()
  .refine(
    (text) => (parseCredits(text) ?? 0) > 0,
    "must be a positive decimal number of credits with at most three places",
  )
  .transform((text) => parseCredits(text) as Millicredits);

/** A positive amount of USD that a caller writes. */
export const usdInput = z
  .string()
  .refine((text) => (parseUsd(text) ?? 0) > 0, "must be a positive decimal number of USD with at most nine places")
  .transform((text) => parseUsd(text) as NanoUsd);

/** A whole number ≥ 0 in a query. */
export const queryCount = z
  .string()
  .regex(/^\d{1,15}$/, "must be a whole number")
  .transform(Number)
  .meta({ type: "integer", minimum: 0 });

/** Rows of a page in a query. */
export const queryLimit = z
  .string()
  .regex(/^\d{1,6}$/, "must be a whole number")
  .transform(Number)
  .refine((rows) => rows >= 1 && rows <= LIMITS.maxPageRows, `must be from 1 to ${LIMITS.maxPageRows}`)
  .meta({
    type: "integer",
    minimum: 1,
    maximum: LIMITS.maxPageRows,
    description: `Rows of a page: ${LIMITS.pageRows} unless it says otherwise, at most ${LIMITS.maxPageRows}.`,
  });

/** The id that a client makes for a mutating call, so that it can be sent again safely. */
export const idempotencyKey = clientId.meta({
  description: "Made by the client: the same key again changes nothing and gets the same answer.",
  example: "0d7c9b6e-3f1a-4c52-9d8e-2b7a6f5e4d3c",
});

/** The headers of a mutating call. */
export const idempotencyHeaders = z.object({ "idempotency-key": idempotencyKey.optional() });

/** A problem as RFC 9457 defines it. */
export const problem = z.object({
  type: z.string().meta({ description: "A link that explains the code.", example: "/docs/errors#invalid_request" }),
  title: z.string().meta({ example: "A parameter is missing or malformed." }),
  status: z.int().meta({ example: 400 }),
  detail: z.string().meta({
    description: "What happened, and what to do next.",
    example: "limit: must be from 1 to 1000. Correct the parameter that `param` names.",
  }),
  code: z.string().meta({ description: "Never renamed: programs match on it.", example: "invalid_request" }),
  param: z.string().optional().meta({ description: "The parameter at fault.", example: "limit" }),
  metadata: z.record(z.string(), z.unknown()).optional(),
});

/** What an invite's maker may say of it, whatever it invites to. */
export const inviteTerms = {
  expires_at: z.iso
    .datetime({ offset: true })
    .optional()
    .meta({ description: "Within 30 days (RFC 3339); a week from now unless it says otherwise." }),
  uses: z
    .int()
    .min(1)
    .max(LIMITS.inviteUses)
    .optional()
    .meta({ description: "How many may join by it; 1 by default." }),
};
