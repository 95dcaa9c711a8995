/** Why a daemon is passed over (economics.md §9). */

import { z } from "zod";
import type { PassedOverFor } from "../../core/scheduler/passed-over.ts";
import { PASSED_OVER_REASONS } from "../../core/scheduler/passed-over-reasons.ts";
import { modelId } from "../catalog.ts";
import { daemonId } from "../ids.ts";
import { time, usd } from "./common.ts";

const REASONS = Object.keys(PASSED_OVER_REASONS) as [PassedOverFor, ...PassedOverFor[]];

const passedOver = z.object({
  reason: z.enum(REASONS).meta({ example: "floor" }),
  count: z.int().meta({ description: "In how many of the decisions.", example: 12 }),
  over: z
    .object({ least: usd, most: usd })
    .nullable()
    .meta({
      description:
        "Of `floor`: by how many USD for 1,000 tokens its power cost more than the jobs paid, at the least and at the most.",
      example: { least: "0.000000400", most: "0.000010400" },
    }),
  meaning: z.string().meta({ example: PASSED_OVER_REASONS.floor.title }),
  fix: z.string().meta({ example: PASSED_OVER_REASONS.floor.fix }),
});

const pool = z.object({
  model: modelId,
  region: z.string().meta({ description: "Of the pool.", example: "local" }),
  since: time.meta({ description: "Since when its pool has counted: an hour ago, or its last start." }),
  decisions: z.int().meta({
    description:
      "The decisions about jobs that were looked into while the daemon was there: one in a quarter of a second at most.",
    example: 120,
  }),
  chosen: z.int().meta({ description: "In how many of them it got the job.", example: 108 }),
  passed_over: z.array(passedOver).meta({ description: "What kept it from the others, the most frequent first." }),
});

export const why = z.object({
  daemon: daemonId,
  offered: z.array(modelId).meta({ description: "The models that it offers now; none while it is not connected." }),
  pools: z.array(pool).meta({ description: "A pool for each of them, or for the model that was asked about." }),
});

export const whyQuery = z.object({
  model: modelId.optional().meta({ description: "A model, also one that it offers no more; else all that it offers." }),
});
