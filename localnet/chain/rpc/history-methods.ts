/** Methods that look for transactions. */

import { z } from "zod";
import { encodeTransaction, TRANSACTION_ENCODINGS } from "../encoding/transactions.ts";
import { invalidParams, RPC_CODE, RpcError } from "../errors.ts";
import { STATUS_SLOTS } from "../settings.ts";
import type { Landed } from "../state/history.ts";
import { COMMITMENTS, type View } from "../view.ts";
import { type Method, method, minContextSlot, pubkey, signature } from "./method.ts";

const MAX_SIGNATURES = 256;
const MAX_PAGE = 1_000;

const encoding = z.enum(TRANSACTION_ENCODINGS).default("json");
const commitment = z.enum(COMMITMENTS).default("finalized");
const transactionOptions = z.union([
  // The form of the first years: the encoding alone.
  z.enum(TRANSACTION_ENCODINGS).transform((encoding) => ({ encoding, commitment: "finalized" as const })),
  z.object({ encoding, commitment, maxSupportedTransactionVersion: z.number().int().min(0).optional() }),
]);
const pageOptions = z.object({
  commitment,
  minContextSlot,
  limit: z.number().int().min(1).max(MAX_PAGE).default(MAX_PAGE),
  before: signature.optional(),
  until: signature.optional(),
});

export const historyMethods: Readonly<Record<string, Method>> = {
  getSignatureStatuses: method(
    z.tuple([z.array(signature), z.object({ searchTransactionHistory: z.boolean().default(false) }).prefault({})]),
    ({ view }, [signatures, { searchTransactionHistory }]) => {
      if (signatures.length > MAX_SIGNATURES) throw invalidParams(`Too many inputs provided; max ${MAX_SIGNATURES}`);
      const oldest = searchTransactionHistory ? 0 : view.slot("finalized") - STATUS_SLOTS;
      const statuses = signatures.map((one) => {
        const landed = view.find(one);
        return landed === null || landed.slot < oldest ? null : statusOf(view, landed);
      });
      return view.read({ commitment: "processed" }).answer(statuses);
    },
  ),

  getSignaturesForAddress: method(
    z.tuple([pubkey, pageOptions.prefault({})]),
    ({ chain, view }, [address, options]) => {
      atLeastConfirmed(options.commitment);
      const { slot: newestSlot } = view.read(options);
      const { limit, before, until } = options;
      return chain.history.of(address, { limit, before, until, newestSlot }).map((landed) => ({
        signature: landed.signature,
        slot: landed.slot,
        err: landed.error,
        memo: landed.memo,
        blockTime: landed.blockTime,
        confirmationStatus: view.commitmentOf(landed),
      }));
    },
  ),

  getTransaction: method(z.tuple([signature, transactionOptions.prefault("json")]), ({ view }, [wanted, options]) => {
    atLeastConfirmed(options.commitment);
    const landed = view.find(wanted);
    if (landed === null || landed.slot > view.slot(options.commitment)) return null;
    const supported = "maxSupportedTransactionVersion" in options ? options.maxSupportedTransactionVersion : undefined;
    const { version } = landed.transaction;
    if (version !== "legacy" && (supported === undefined || supported < version)) {
      throw new RpcError(
        RPC_CODE.unsupportedVersion,
        `Transaction version (${version}) is not supported by the requesting client. Please try the request again ` +
          `with the following configuration parameter: "maxSupportedTransactionVersion": ${version}`,
      );
    }
    return encodeTransaction(landed, options.encoding, supported !== undefined);
  }),
};

/** What is not confirmed yet is not looked for in the history. */
function atLeastConfirmed(commitment: (typeof COMMITMENTS)[number]): void {
  if (commitment === "processed") throw invalidParams("Method does not support commitment below `confirmed`");
}

function statusOf(view: View, landed: Landed): object {
  const status = view.commitmentOf(landed);
  return {
    slot: landed.slot,
    confirmations: status === "finalized" ? null : view.tip - landed.slot,
    err: landed.error,
    status: landed.error === null ? { Ok: null } : { Err: landed.error },
    confirmationStatus: status,
  };
}
