/** Methods that tell about the chain itself: where it is, its blockhashes, its fees. */

import { z } from "zod";
import { invalidParams, RPC_CODE, RpcError } from "../errors.ts";
import { SLOTS_PER_EPOCH } from "../machine.ts";
import { BLOCKHASH_LIFE, FIRST_SLOT } from "../state/blocks.ts";
import { feeOf, type ReadMessage, readMessage, unitPriceOf } from "../transaction.ts";
import { API_VERSION } from "../view.ts";
import { type Method, method, onlyOptions, pubkey, readOptions } from "./method.ts";

const MAX_FEE_ACCOUNTS = 128;
const MAX_ACCOUNT_BYTES = 10_485_760;
const nothing = z.unknown();

export const chainMethods: Readonly<Record<string, Method>> = {
  getHealth: method(nothing, () => "ok"),
  getVersion: method(nothing, () => ({ "solana-core": API_VERSION, "feature-set": 0 })),
  getGenesisHash: method(nothing, ({ chain }) => chain.genesisHash),
  getFirstAvailableBlock: method(nothing, ({ chain }) => chain.history.firstSlot),
  minimumLedgerSlot: method(nothing, ({ chain }) => chain.history.firstSlot),
  getSlot: method(onlyOptions, ({ view }, options) => view.read(options).slot),
  getBlockHeight: method(onlyOptions, ({ view }, options) => view.read(options).block.height),
  getTransactionCount: method(onlyOptions, ({ chain }) => chain.landedCount),

  getEpochInfo: method(onlyOptions, ({ chain, view }, options) => {
    const { slot, block } = view.read(options);
    return {
      absoluteSlot: slot,
      blockHeight: block.height,
      epoch: Math.floor(slot / SLOTS_PER_EPOCH),
      slotIndex: slot % SLOTS_PER_EPOCH,
      slotsInEpoch: SLOTS_PER_EPOCH,
      transactionCount: chain.landedCount,
    };
  }),

  getLatestBlockhash: method(onlyOptions, ({ view }, options) => {
    const state = view.read(options);
    const { hash, height } = state.block;
    return state.answer({ blockhash: hash, lastValidBlockHeight: height + BLOCKHASH_LIFE });
  }),

  isBlockhashValid: method(z.tuple([z.string(), readOptions.optional()]), ({ view }, [blockhash, options]) => {
    const state = view.read(options);
    return state.answer(state.isRecent(blockhash));
  }),

  getBlockTime: method(z.tuple([z.number().int().min(0)]), ({ chain, view }, [slot]) => {
    if (slot >= FIRST_SLOT && slot <= view.tip) return chain.timeOf(slot);
    throw new RpcError(RPC_CODE.blockNotAvailable, `Block not available for slot ${slot}`);
  }),

  getMinimumBalanceForRentExemption: method(
    z.tuple([z.number().int().min(0).max(MAX_ACCOUNT_BYTES), z.unknown().optional()]),
    ({ chain }, [bytes]) => Number(chain.rentFor(bytes)),
  ),

  getFeeForMessage: method(z.tuple([z.string(), readOptions.optional()]), ({ view }, [text, options]) => {
    const state = view.read(options);
    const message = readParam(text);
    return state.answer(state.isRecent(message.blockhash) ? Number(feeOf(message)) : null);
  }),

  getRecentPrioritizationFees: method(
    z.tuple([z.array(pubkey).max(MAX_FEE_ACCOUNTS).optional()]),
    ({ chain, view }, [addresses = []]) => {
      const newest = view.slot("confirmed");
      const first = Math.max(FIRST_SLOT, newest - BLOCKHASH_LIFE + 1);
      const paid = new Map<number, number>();
      for (const { slot, transaction, keys } of chain.history.between(first, newest)) {
        const locked = new Set(keys.filter(({ writable }) => writable).map(({ address }) => address));
        if (!addresses.every((address) => locked.has(address))) continue;
        paid.set(slot, Math.min(paid.get(slot) ?? Infinity, Number(unitPriceOf(transaction))));
      }
      return Array.from({ length: newest - first + 1 }, (_, index) => {
        return { slot: first + index, prioritizationFee: paid.get(first + index) ?? 0 };
      });
    },
  ),
};

/** A message in base64, without the signatures of a transaction. */
function readParam(text: string): ReadMessage {
  try {
    return readMessage(Buffer.from(text, "base64"));
  } catch {
    throw invalidParams("this is no transaction message in base64");
  }
}
