/** Shapes of the service levels of an account's days. */

import { z } from "zod";
import { LIMITS } from "../../core/limits.ts";
import { time } from "./common.ts";

export const serviceLevelsQuery = z.object({
  from: z.iso
    .date()
    .optional()
    .meta({ description: "The first day (UTC). 30 days back unless it says otherwise.", example: "2026-11-01" }),
});

const count = z.int().min(0);

export const serviceLevel = z.object({
  day: z.iso.date().meta({ description: "The UTC day that the jobs were queued in.", example: "2026-11-24" }),
  jobs: count.meta({ description: "Jobs in reserved slots whose time in queue counts.", example: 25 }),
  p95_ms: count.nullable().meta({
    description: "What 95 of 100 of them waited at most, from when they had their slot; null for no jobs.",
    example: 3_100,
  }),
  target_ms: count.meta({ description: "What that may be.", example: 2_000 }),
  missed: z.boolean().meta({ description: "Whether it was more, over enough jobs to tell." }),
  extended_until: time
    .nullable()
    .meta({ description: "The latest end of the packages that last a day longer for it; null where none does." }),
  entry: z.int().nullable().meta({ description: "The ledger's entry that extended them.", example: 412 }),
  evidence: z
    .object({
      first: count.meta({ description: "The entry of the first job that counts.", example: 120 }),
      last: count.meta({ description: "The entry of the last one.", example: 398 }),
      digest: z.string().meta({
        description: "SHA-256 over the SHA-256 (32 bytes each) of those jobs' entries' bodies, in their order; hex.",
      }),
    })
    .nullable()
    .meta({ description: "What it was measured by; null for no jobs." }),
});
export type ServiceLevelRow = z.infer<typeof serviceLevel>;

export const serviceLevels = z.object({
  data: z.array(serviceLevel),
  next: z.iso
    .date()
    .nullable()
    .meta({
      description: `A page has ${LIMITS.serviceDays} days at most. Where there are more this is the \`from\` of the next one.`,
      example: null,
    }),
});
