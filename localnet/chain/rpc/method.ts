/** What a method of the chain's JSON-RPC is: the form of its parameters, and what it does with them. */

import { type Address, isAddress, isSignature } from "@solana/kit";
import { z } from "zod";
import { ACCOUNT_ENCODINGS } from "../encoding/accounts.ts";
import { invalidParams } from "../errors.ts";
import type { Met } from "../faults.ts";
import type { LocalChain } from "../local-chain.ts";
import { COMMITMENTS, type View } from "../view.ts";

/** What a call is given. */
export interface Call {
  readonly chain: LocalChain;
  /** The chain as the node sees it that answers this call. */
  readonly view: View;
  /** The faults that meet this call. */
  readonly met: Met;
  /** Gives an address SOL, and the transaction's signature. */
  readonly airdrop: (address: Address, lamports: bigint) => Promise<string>;
}

export type Method = (call: Call, params: unknown) => unknown;

/** A method whose parameters are checked before it runs. */
export function method<Params>(shape: z.ZodType<Params>, run: (call: Call, params: Params) => unknown): Method {
  return (call, params) => {
    const parsed = shape.safeParse(params ?? []);
    if (parsed.success) return run(call, parsed.data);
    const [issue] = parsed.error.issues;
    throw invalidParams(`${issue?.path.join(".") || "params"}: ${issue?.message ?? "malformed"}`);
  };
}

export const pubkey = z.string().transform((text, context): Address => {
  if (isAddress(text)) return text;
  context.addIssue({ code: "custom", message: "this is no address of 32 bytes in base58" });
  return z.NEVER;
});

export const signature = z.string().refine(isSignature, "this is no signature of 64 bytes in base58");

export const minContextSlot = z.number().int().min(0).optional();
const commitment = z.enum(COMMITMENTS).optional();

/** What every read takes. Keys that are not known are passed over, as nodes do. */
const readFields = { commitment, minContextSlot };
export const readOptions = z
  .object(readFields)
  .nullish()
  .transform((options) => options ?? {});

const size = z.number().int().min(0);
const accountFields = {
  ...readFields,
  encoding: z.enum(ACCOUNT_ENCODINGS).optional(),
  dataSlice: z.object({ offset: size, length: size }).optional(),
};
export const accountOptions = z
  .object(accountFields)
  .nullish()
  .transform((options) => options ?? {});

const MAX_FILTERS = 4;
const filter = z.union([
  z.object({ dataSize: size }),
  z.object({
    memcmp: z.object({ offset: size, bytes: z.string(), encoding: z.enum(["base58", "base64"]).default("base58") }),
  }),
]);
export type AccountFilter = z.infer<typeof filter>;
export const programOptions = z
  .object({
    ...accountFields,
    filters: z.array(filter).max(MAX_FILTERS).optional(),
    withContext: z.boolean().optional(),
  })
  .nullish()
  .transform((options) => options ?? {});

/** For methods that take nothing but a commitment. */
export const onlyOptions = z.tuple([readOptions.optional()]).transform(([options]) => options ?? {});
