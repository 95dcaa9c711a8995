/** Shapes of the market: what is asked, what waits, and the secrets of newcomers' draws (interfaces.md §2). */

import { z } from "zod";
import { LANES } from "../../core/lanes.ts";
import { SERVED_MINUTES } from "../../core/scheduler/served.ts";
import { time, usd } from "./common.ts";

const count = z.int().min(0);

const pool = z.object({
  model: z.string().meta({ example: "tiny-miller" }),
  region: z.string().meta({ example: "local" }),
  supply: z.object({ daemons: count, slots: count, free: count }),
  lanes: z
    .array(
      z.object({
        lane: z.enum(LANES),
        class: z.enum(["private", "open"]),
        waiting: count,
        running: count,
        units: count.meta({
          description: `Token units served in the last ${SERVED_MINUTES} minutes: a prompt token is 1, a completion token 2.`,
        }),
        share: z.number().min(0).max(1).meta({ description: "Its part of all units.", example: 0.62 }),
      }),
    )
    .meta({ description: "The queues." }),
  demand: z
    .string()
    .regex(/^\d+\.\d{4}$/)
    .nullable()
    .meta({
      description: "What every ask of the public lane is multiplied by; null without slots.",
      example: "1.0000",
    }),
  asks: z.object({
    count,
    lowest: usd.nullable(),
    median: usd.nullable().meta({ description: "USD for 1,000 completion tokens, as `lowest`." }),
  }),
});

/** Everything that the market shows, as it is at a moment. */
export const market = z.object({ type: z.literal("snapshot"), at: time, pools: z.array(pool) });
export type Market = z.infer<typeof market>;

export const marketEnd = z.object({
  type: z.literal("end"),
  code: z
    .string()
    .meta({ description: "Why nothing follows; `reconnect` where nothing is wrong.", example: "reconnect" }),
  message: z.string(),
});
export type MarketEnd = z.infer<typeof marketEnd>;

export const draws = z.object({
  day: count.meta({ description: "Days since 1970-01-01, UTC.", example: 20_782 }),
  date: z.iso.date().meta({ example: "2026-11-25" }),
  commitment: z.string().meta({ description: "SHA-256 of the secret's 32 bytes, hex." }),
  published_at: time,
  in_time: z.boolean().meta({ description: "Whether it was published before its day began." }),
  secret: z.string().nullable().meta({ description: "Hex; null until the day is over." }),
});

export const drawsPage = z.object({ data: z.array(draws) });
