/** The part of Solana's JSON-RPC answers that is read here (https://solana.com/docs/rpc). */

import { base64 } from "@scure/base";
import { z } from "zod";
import { stakeUnits } from "../../core/units.ts";

export const slot = z.number().int().min(0);

/** The answer to a batch of calls, in any order. */
export const batchAnswer = z.array(
  z.object({
    id: z.number().int(),
    result: z.unknown().optional(),
    error: z.object({ code: z.number().int(), message: z.string() }).optional(),
  }),
);

/** `getMultipleAccounts` with base64. */
export const accountsAnswer = z.object({
  context: z.object({ slot }),
  value: z.array(
    z
      .object({
        owner: z.string(),
        data: z.tuple([z.string(), z.literal("base64")]).transform(([text]) => base64.decode(text)),
      })
      .nullable(),
  ),
});

/** `getSignaturesForAddress`: newest first; `err` is null where the transaction did what it says. */
export const signaturesAnswer = z.array(z.object({ signature: z.string(), slot, err: z.unknown() }));
export type Signatures = z.infer<typeof signaturesAnswer>;

const tokenBalance = z.object({
  accountIndex: z.number().int().min(0),
  mint: z.string(),
  owner: z.string(),
  uiTokenAmount: z.object({
    amount: z
      .string()
      .regex(/^\d{1,20}$/)
      .transform((text) => stakeUnits(BigInt(text))),
  }),
});

/** `getTransaction` with `jsonParsed`, whose list of keys has those of lookup tables too. Null: the node does not know it. */
export const transactionAnswer = z
  .object({
    slot,
    transaction: z.object({ message: z.object({ accountKeys: z.array(z.object({ pubkey: z.string() })) }) }),
    meta: z.object({ preTokenBalances: z.array(tokenBalance), postTokenBalances: z.array(tokenBalance) }),
  })
  .nullable();

export type TransactionAnswer = NonNullable<z.infer<typeof transactionAnswer>>;
export type TokenBalance = z.infer<typeof tokenBalance>;
