/** The faucet of the local chain: what is asked of it and what it answers. No cluster knows it. */

import { z } from "zod";

const amount = z.string().regex(/^\d{1,10}(\.\d{1,9})?$/, "must be a decimal number, such as 2.5");

/** Amounts are decimal numbers in whole coins. */
export const faucetRequest = z.strictObject({
  address: z.string(),
  sol: amount.optional(),
  usdc: amount.optional(),
  one: amount.optional(),
});
export type FaucetRequest = z.infer<typeof faucetRequest>;

/** The transaction that gave, and what the address has after it. */
export const faucetAnswer = z.object({
  signature: z.string(),
  balance: z.object({ sol: z.string(), usdc: z.string(), one: z.string() }),
});
export type FaucetAnswer = z.infer<typeof faucetAnswer>;

/** The faucet pays what a link of Solana Pay asks for, from coins that it makes. */
export const payRequest = z.strictObject({ solana_pay_url: z.string().max(2_048) });
export const payAnswer = z.object({ signature: z.string() });
export type PayAnswer = z.infer<typeof payAnswer>;
