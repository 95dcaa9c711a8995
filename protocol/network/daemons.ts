/** Shapes of supply: enrolling daemons and looking at them. */

import { z } from "zod";
import { LIMITS } from "../../core/limits.ts";
import { TIERS } from "../daemon/messages.ts";
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

export const enrolDaemon = z.strictObject({ public_key: publicKey, name, payout, tier });

export const daemon = z.object({
  id: publicKey,
  account: accountId.meta({ description: "Who provides it and earns its share." }),
  name,
  payout,
  tier,
  created_at: time,
  connected: z.boolean().meta({ description: "Whether it is connected at this moment.", example: true }),
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
