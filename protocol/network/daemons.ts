/** Shapes of supply: enrolling daemons and looking at them. */

import { z } from "zod";
import { LIMITS } from "../../core/limits.ts";
import { QUARANTINE_REASONS } from "../../core/routing/quarantine.ts";
import { offeredModel, THERMAL, TIERS } from "../daemon/messages.ts";
import { accountId, daemonId } from "../ids.ts";
import { queryLimit, time } from "./common.ts";

const publicKey = daemonId.meta({
  description: "The daemon's Ed25519 public key in base58: its id from now on.",
  example: "9xQeWvG816bUx9EPjHmaT23yvVM2ZWbrrpZb9PusVFin",
});
const name = z.string().min(1).max(LIMITS.daemonNameCharacters).meta({ example: "attic" });
const payout = z
  .enum(["usdc", "credits"])
  .meta({ description: "What its shares of jobs paid in USDC-backed credits become.", example: "credits" });
const tier = z.enum(TIERS).meta({ example: "desktop" });

const DAEMON_STATES = ["offline", "serving", "draining", "withdrawn"] as const;

export const enrolDaemon = z.strictObject({ public_key: publicKey, name, payout, tier });

export const daemon = z.object({
  id: publicKey,
  account: accountId.meta({ description: "Who provides it and earns its share." }),
  name,
  payout,
  tier,
  created_at: time,
  drained_at: time
    .nullable()
    .meta({ description: "When the account drained it; null while it is not.", example: null }),
  connected: z.boolean().meta({ description: "Whether it is connected at this moment.", example: true }),
  state: z.enum(DAEMON_STATES).meta({
    description:
      "`offline` while it is not connected; `draining` where it gets no new jobs, by its account's word or because it ends; " +
      "`withdrawn` while it offers no models; else `serving`.",
    example: "serving",
  }),
});

const jobs = z.int().min(0).meta({ description: "Jobs that it runs.", example: 1 });

const part = z.number().min(0).max(1);
const speed = z.number().nullable();

/** How a daemon stands in the pool of one model (economics.md §9). */
export const standing = z.object({
  score: part.meta({
    description:
      "(α + 2) / (α + β + 4): 0.5 for a new daemon, more with verified jobs, less with timeouts and failures.",
    example: 0.93,
  }),
  verified: z.int().min(0).meta({ description: "Its verified jobs of this model.", example: 212 }),
  graduation: z.object({ verified: z.int().min(0), of: z.int().min(0) }).meta({
    description: "Verified jobs of the account's daemons, until it is no newcomer any more.",
    example: { verified: 50, of: 50 },
  }),
  declined: part.meta({ description: "The part of its offers that it declined of late.", example: 0 }),
  flagged: z.int().min(0).meta({ description: "Claims of more tokens than were relayed.", example: 0 }),
  tokens_per_second: speed.meta({ description: "As measured; null while too few jobs tell.", example: 47.5 }),
  prefill_tokens_per_second: speed.meta({ description: "As measured; null while too few jobs tell.", example: null }),
  quarantine: z
    .object({
      why: z.enum(QUARANTINE_REASONS),
      since: time,
      next_probe_at: time.meta({ description: "It is not probed before this." }),
      passed: z.int().min(0).meta({ description: "Probes passed in a row.", example: 1 }),
      of: z.int().min(1).meta({ description: "Probes in a row, each in another hour, that end it.", example: 3 }),
    })
    .nullable()
    .meta({ description: "Why it gets no jobs of this model but probes; null while it gets jobs.", example: null }),
});

/** A daemon with what its relay knows of its connection. */
export const wholeDaemon = daemon.extend({
  connection: z
    .object({
      draining_by: z.array(z.enum(["account", "daemon"])).meta({
        description: "Who has it end: its account, until it is resumed, or the daemon itself, which is about to stop.",
        example: [],
      }),
      withdrawn_by: z.array(z.string()).meta({
        description: "Why it offers no models, where that is its own will: `schedule`, `ac_power`, `gpu_temperature`.",
        example: [],
      }),
      schedule: z
        .string()
        .nullable()
        .meta({ description: "When it serves; docs/daemon.md.", example: "sat-sun in Europe/Berlin" }),
      on_ac_power: z.boolean().nullable().meta({ description: "Null where the machine does not tell.", example: true }),
      thermal: z.enum(THERMAL).nullable().meta({ description: "How hot it is; null where nothing tells." }),
      running: jobs,
      models: z.array(
        offeredModel.omit({ features: true, prefill_tokens_per_second: true }).extend({
          running: jobs,
          standing: standing.nullable().meta({ description: "Null before the model's pool has heard of it." }),
        }),
      ),
    })
    .nullable()
    .meta({ description: "Null while it is not connected." }),
});

export const daemonQuery = z.object({
  cursor: daemonId.optional().meta({ description: "The `next` of the page before." }),
  limit: queryLimit.optional(),
});

export const daemonPage = z.object({
  data: z.array(daemon),
  next: z.string().nullable().meta({ description: "The `cursor` of the next page; null at the end.", example: null }),
});

export const connectQuery = z.object({
  daemon: daemonId.meta({ description: "The id of the daemon that connects: it names the relay." }),
});
