/** Shapes of private networks: their rates, members and invites. */

import { z } from "zod";
import { LIMITS } from "../../core/limits.ts";
import { formatUsd, type NanoUsd, parseUsd } from "../../core/units.ts";
import { modelId } from "../catalog.ts";
import { inviteId, networkId, pseudonym } from "../ids.ts";
import { idempotencyKey, inviteTerms, personText, time, usd } from "./common.ts";

const MOST = LIMITS.networkRateNanoUsd as NanoUsd;

/** USD per 1,000 tokens that an admin sets. */
const rateInput = (least: number, example: string) =>
  z
    .string()
    .refine(
      (text) => {
        const rate = parseUsd(text);
        return rate !== null && rate >= least && rate <= MOST;
      },
      `must be USD per 1,000 tokens, a decimal string with at most nine places, from ${formatUsd(least as NanoUsd)} to ${formatUsd(MOST)}`,
    )
    .transform((text) => parseUsd(text) as NanoUsd)
    .meta({ type: "string", example });

const rate = z.strictObject({
  prompt: rateInput(0, "0.00001").meta({ description: "USD per 1,000 prompt tokens; may be 0." }),
  completion: rateInput(1, "0.00004").meta({ description: "USD per 1,000 completion tokens." }),
});

const shownRate = z.object({ prompt: usd, completion: usd });
const inDollars = "In USD per 1,000 tokens, by model, the same for every member.";

const name = personText(1, LIMITS.networkNameCharacters).meta({ example: "Lab" });
const memberName = personText(1, LIMITS.memberNameCharacters).meta({ example: "Ada" });
const id = networkId.meta({ description: "What requests and daemons name it by.", example: "0R7uXmQ2b1vXkYt3Zp9aLc" });

/** By model; a network has a rate for each model that it serves. */
function ratesOf<Rate extends z.ZodType>(each: Rate) {
  return z
    .record(modelId, each)
    .refine((rates) => Object.keys(rates).length <= LIMITS.networkRates, `at most ${LIMITS.networkRates} models`);
}

export const createNetwork = z.strictObject({
  name,
  rates: ratesOf(rate)
    .optional()
    .meta({ description: `${inDollars} A model without a rate is not served there.` }),
  id: idempotencyKey.optional(),
});

export const changeNetwork = z.strictObject({
  name: name.optional(),
  rates: ratesOf(rate.nullable())
    .optional()
    .meta({ description: `${inDollars} Models that are not named keep theirs; null takes one out.` }),
});

export const privateNetwork = z.object({
  id,
  name: z.string().meta({ example: "Lab" }),
  admin: z.boolean().meta({ description: "Whether the account that asks is its admin." }),
  rates: z.record(z.string(), shownRate).meta({ description: inDollars }),
  created_at: time,
  closed_at: time.nullable(),
});
export type PrivateNetwork = z.infer<typeof privateNetwork>;

export const networkList = z.object({ data: z.array(privateNetwork) });

export const networkMember = z.object({
  id: pseudonym.meta({
    description: "The member as receipts name it: only the network can tie that to an account.",
    example: "3nVq0c1tYk8sW2bLr5HdEf",
  }),
  name: z.string().nullable().meta({ description: "What it called itself when it joined.", example: "Ada" }),
  admin: z.boolean(),
  you: z.boolean().meta({ description: "Whether it is the account that asks." }),
  joined_at: time,
});

export const networkMemberList = z.object({ data: z.array(networkMember) });

export const endedMember = z.object({ id: pseudonym, ended_at: time });

export const createNetworkInvite = z.strictObject({
  name: memberName.optional().meta({ description: "For whom it is; shown in the list of invites.", example: "Ada" }),
  ...inviteTerms,
  id: idempotencyKey.optional(),
});

export const networkInvite = z.object({
  id: inviteId.meta({ example: "0R7uXmQ2b1vXkYt3Zp9aLc" }),
  name: z.string().nullable(),
  created_at: time,
  expires_at: time,
  uses: z.int().min(0).meta({ example: 1 }),
  used: z.int().min(0).meta({ example: 0 }),
  revoked_at: time.nullable(),
});
export type NetworkInvite = z.infer<typeof networkInvite>;

export const networkInviteList = z.object({ data: z.array(networkInvite) });

export const createdNetworkInvite = networkInvite.extend({
  token: z.string().meta({
    description: "What the invited sends to `POST /api/v1/networks/join`. Only its hash is stored.",
    example: "tmn_…",
  }),
});

export const joinNetwork = z.strictObject({
  token: z.string().min(1).max(128).meta({ description: "The invite's token.", example: "tmn_…" }),
  name: memberName.optional().meta({ description: "What the other members are to call the account." }),
});

export const joinedNetwork = z.object({
  network: privateNetwork,
  joined: z
    .boolean()
    .meta({ description: "False when the account was in it already; then no use of the invite is taken." }),
});
