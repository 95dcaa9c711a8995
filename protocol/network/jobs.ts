/** Shapes of jobs: where one is, and what one would cost. */

import { z } from "zod";
import { LANES } from "../../core/lanes.ts";
import { OUTCOMES } from "../../core/outcome.ts";
import { jobId } from "../ids.ts";
import { credits, time } from "./common.ts";

export const JOB_STATES = ["pending", "queued", "running", ...OUTCOMES, "voided", "refused"] as const;
export type JobState = (typeof JOB_STATES)[number];

export const job = z.object({
  id: jobId.meta({ example: "0R7uXmQ2b1vXkYt3Zp9aLc" }),
  state: z.enum(JOB_STATES).meta({
    description:
      "`pending` between its reservation and its pool's queue, then `queued`, `running`, and the outcome of its receipt; " +
      "`voided` when it ended without one, `refused` when it was never taken.",
    example: "running",
  }),
  model: z.string().nullable().meta({ example: "tiny-miller" }),
  at: time.meta({ description: "When it came to that state, or was reserved while it is open." }),
  position: z.int().nullable().meta({ description: "Its place in the queue, from 1.", example: null }),
  eta_ms: z.int().nullable().meta({ description: "An estimate of the wait that is left.", example: null }),
  daemon: z.string().nullable().meta({ description: "Who runs it." }),
  receipt: z.string().nullable().meta({ description: "Where its receipt is.", example: null }),
  reason: z.string().nullable().meta({ description: "Why it was voided or refused.", example: null }),
});

export const cancelledJob = z.object({
  id: jobId,
  cancelled: z.boolean().meta({
    description: "Whether there was something to cancel. What was already answered is charged (see the receipt).",
    example: true,
  }),
});

export const estimate = z.object({
  lane: z
    .enum(LANES)
    .nullable()
    .meta({ description: "Null with `route: self`, which is in no lane and free.", example: "public" }),
  reserved: z.boolean().meta({
    description: "Whether a slot that a package has reserved is free for it: then it goes ahead of all others.",
    example: false,
  }),
  concurrency: z
    .object({ slots: z.int().meta({ example: 10 }), in_use: z.int().meta({ example: 3 }) })
    .nullable()
    .meta({
      description:
        "Jobs at once in that lane: in `dedicated` what packages reserve, in `included` what the stake carries; null in lanes " +
        "where they are not counted.",
    }),
  prompt_tokens: z.int().meta({ description: "The bound on the prompt: it is never billed higher.", example: 24 }),
  completion_tokens: z
    .int()
    .meta({ description: "The completion tokens that are reserved, all choices together.", example: 256 }),
  hold: credits.meta({ description: "What would be reserved: the worst case.", example: "20.960" }),
  expected: credits.meta({
    description: "What that prompt and an answer of the model's usual length cost at most.",
    example: "20.960",
  }),
  covered: z.boolean().meta({ description: "Whether the balance covers the hold." }),
  shortfall: credits.meta({ description: "What the balance lacks for it.", example: "0.000" }),
  per_1k: credits.meta({ description: "1,000 completion tokens at the catalog's rate.", example: "80.000" }),
  lowest_ask: credits.nullable().meta({
    description:
      "In lanes where daemons ask: what 1,000 completion tokens cost at the lowest ask; null where nobody asks.",
    example: "33.440",
  }),
});
