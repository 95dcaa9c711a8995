/** Checks a receipt before it is appended: its form, its network, its signature and that its shares add up. */

import { isEqual } from "../core/constant-time.ts";
import { type ReceiptBody, receiptBytes } from "../core/receipt/body.ts";
import { isConserved } from "../core/receipt/rollup.ts";
import { type NetworkKey, networkKey } from "../durable-objects/shared/network-key.ts";
import { parseReceiptBody, parseSignedReceipt, type SignedReceipt } from "../protocol/receipt.ts";

/** The network whose receipts are appended. */
export interface Network {
  readonly name: string;
  readonly key: NetworkKey;
}

export type Checked =
  | { readonly ok: true; readonly receipt: SignedReceipt; readonly body: ReceiptBody }
  | { readonly ok: false; readonly reason: string };

/** The network of this Worker. */
export async function networkOf(env: Pick<Env, "TOLLMILL_NETWORK" | "NETWORK_SEED">): Promise<Network> {
  return { name: env.TOLLMILL_NETWORK, key: await networkKey(env) };
}

/**
 * Checks one receipt. The reason of a refusal names what is wrong and never repeats a value. Never throws: a receipt that
 * breaks the check must not keep its neighbours out of the log.
 */
export async function checkReceipt(item: unknown, network: Network): Promise<Checked> {
  try {
    return await check(item, network);
  } catch (error) {
    return refuse(`the check broke: ${error instanceof Error ? error.name : "unknown failure"}`);
  }
}

async function check(item: unknown, network: Network): Promise<Checked> {
  const signed = parseSignedReceipt(item);
  if ("error" in signed) return refuse(`malformed receipt: ${signed.error}`);
  const { receipt } = signed;
  const parsed = parseReceiptBody(receipt.body);
  if ("error" in parsed) return refuse(`malformed body: ${parsed.error}`);
  const { body } = parsed;
  if (body.network !== network.name) return refuse("the receipt is of another network");
  if (receipt.key !== network.key.publicKey)
    return refuse("the receipt is signed with a key that is not this network's");
  if (!(await isSigned(receipt, network))) return refuse("the network's signature does not match the body");
  // A receipt that breaks this would keep its window from ever closing.
  if (!isConserved(body)) return refuse("the shares do not sum to the charge");
  return { ok: true, receipt, body };
}

/**
 * Whether the network has signed this body. Ed25519 gives the same bytes the same signature (RFC 8032 §5.1.6), and this
 * Worker has the key: it signs again and compares, in a third of the time that verifying takes. What it makes stays here.
 */
async function isSigned({ body, signature }: SignedReceipt, { key }: Network): Promise<boolean> {
  return isEqual(signature, await key.sign(receiptBytes(body)));
}

function refuse(reason: string): Checked {
  return { ok: false, reason };
}
