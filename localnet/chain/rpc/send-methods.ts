/** Methods that take transactions. */

import { getBase58Encoder } from "@solana/kit";
import { z } from "zod";
import { ACCOUNT_ENCODINGS, encodeAccount } from "../encoding/accounts.ts";
import { encodeReturned } from "../encoding/transactions.ts";
import { invalidParams, RPC_CODE, RpcError, type TransactionError, textOf } from "../errors.ts";
import type { LocalChain } from "../local-chain.ts";
import { BLOCKHASH_LIFE } from "../state/blocks.ts";
import type { Execution } from "../state/history.ts";
import { MAX_TRANSACTION_BYTES, type ReadTransaction, readTransaction } from "../transaction.ts";
import { COMMITMENTS, type State, type View } from "../view.ts";
import { type Method, method, minContextSlot, pubkey, readOptions } from "./method.ts";

const commitment = z.enum(COMMITMENTS).optional();
const encoding = z.enum(["base58", "base64"]).default("base58");
const sendOptions = z.object({
  encoding,
  skipPreflight: z.boolean().default(false),
  preflightCommitment: commitment,
  /** Nodes repeat a transaction until it lands; this chain takes it at once, so nothing is left to repeat. */
  maxRetries: z.number().int().min(0).optional(),
  minContextSlot,
});
const simulateOptions = z.object({
  encoding,
  commitment,
  minContextSlot,
  sigVerify: z.boolean().default(false),
  replaceRecentBlockhash: z.boolean().default(false),
  accounts: z.object({ addresses: z.array(pubkey), encoding: z.enum(ACCOUNT_ENCODINGS).default("base64") }).optional(),
});

/** More than any faucet should give at once, and little enough for a number of JSON. */
const MAX_AIRDROP_LAMPORTS = 10_000_000_000_000;

export const sendMethods: Readonly<Record<string, Method>> = {
  sendTransaction: method(z.tuple([z.string(), sendOptions.prefault({})]), ({ chain, view, met }, [text, options]) => {
    const transaction = decode(text, options.encoding);
    if (!options.skipPreflight) {
      const { preflightCommitment, minContextSlot } = options;
      preflight(chain, view, transaction, view.read({ commitment: preflightCommitment, minContextSlot }));
    }
    if (met.drop !== undefined) return transaction.signature;
    const fails = met.fail !== undefined;
    if (met.delay !== undefined) chain.delay(transaction, met.delay.slots, fails);
    else chain.land(transaction, { fails });
    return transaction.signature;
  }),

  simulateTransaction: method(
    z.tuple([z.string(), simulateOptions.prefault({})]),
    ({ chain, view }, [text, options]) => {
      const { sigVerify, replaceRecentBlockhash, accounts } = options;
      if (sigVerify && replaceRecentBlockhash) {
        throw invalidParams("sigVerify may not be used with replaceRecentBlockhash");
      }
      const transaction = decode(text, options.encoding);
      const state = view.read(options);
      const refusal = replaceRecentBlockhash ? null : refusalOf(view, state, transaction);
      const { execution, after } =
        refusal === null
          ? chain.simulate(state.slot, transaction, sigVerify)
          : { execution: { ...NOT_RUN, error: refusal }, after: new Map<never, never>() };
      const { hash, height } = state.block;
      const shown = accounts?.addresses.map((address) => {
        const account = after.get(address) ?? state.account(address);
        return account === null ? null : encodeAccount(account, accounts, (of) => state.account(of));
      });
      return state.answer({
        ...outcome(execution),
        accounts: shown ?? null,
        ...(replaceRecentBlockhash
          ? { replacementBlockhash: { blockhash: hash, lastValidBlockHeight: height + BLOCKHASH_LIFE } }
          : {}),
      });
    },
  ),

  requestAirdrop: method(
    z.tuple([pubkey, z.number().int().min(1).max(MAX_AIRDROP_LAMPORTS), readOptions.optional()]),
    ({ airdrop }, [address, lamports]) => airdrop(address, BigInt(lamports)),
  ),
};

const NOT_RUN: Execution = { error: null, logs: [], units: 0, inner: [], returned: null };

function decode(text: string, from: "base58" | "base64"): ReadTransaction {
  let bytes: Uint8Array;
  try {
    bytes = from === "base64" ? Buffer.from(text, "base64") : Uint8Array.from(getBase58Encoder().encode(text));
  } catch {
    throw invalidParams(`invalid ${from} encoding`);
  }
  if (bytes.length > MAX_TRANSACTION_BYTES) {
    throw invalidParams(`the transaction has ${bytes.length} bytes, the most are ${MAX_TRANSACTION_BYTES}`);
  }
  try {
    return readTransaction(bytes);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw invalidParams(`failed to deserialize solana_transaction::versioned::VersionedTransaction: ${reason}`);
  }
}

/** Why a transaction is not even run by a node in this state. */
function refusalOf(view: View, state: State, transaction: ReadTransaction): TransactionError | null {
  const landed = view.find(transaction.signature);
  if (landed !== null && landed.slot <= state.slot) return "AlreadyProcessed";
  return state.isRecent(transaction.blockhash) ? null : "BlockhashNotFound";
}

/** Throws what a node answers for a transaction that would fail. */
function preflight(chain: LocalChain, view: View, transaction: ReadTransaction, state: State): void {
  const refusal = refusalOf(view, state, transaction);
  const execution =
    refusal === null ? chain.simulate(state.slot, transaction, true).execution : { ...NOT_RUN, error: refusal };
  const { error } = execution;
  if (error === null) return;
  if (error === "SignatureFailure") {
    throw new RpcError(RPC_CODE.signatureVerification, "Transaction signature verification failure");
  }
  const data = { ...outcome(execution), accounts: null };
  throw new RpcError(RPC_CODE.preflightFailure, `Transaction simulation failed: ${textOf(error)}`, data);
}

function outcome({ error, logs, units, returned }: Execution): object {
  return {
    err: error,
    logs,
    unitsConsumed: units,
    returnData: returned === null ? null : encodeReturned(returned),
    innerInstructions: null,
  };
}
