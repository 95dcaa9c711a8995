/** Checks a receipt before it is appended: its form, its network, its signature and that its shares add up. */

import { ed25519 } from "@noble/curves/ed25519.js";
import { base64url, parseSignature } from "../core/keys.ts";
import { type ReceiptBody, receiptBytes } from "../core/receipt/body.ts";
import { hexToBytes } from "../core/receipt/canonical.ts";
import { imbalances, rollUp } from "../core/receipt/rollup.ts";
import { parseReceiptBody, parseSignedReceipt, type SignedReceipt } from "../protocol/receipt.ts";

/** The network whose receipts are appended. */
export interface Network {
  readonly name: string;
  /** Its public key in base64url, as receipts name it. */
  readonly key: string;
  readonly verifier: CryptoKey;
}

export type Checked =
  | { readonly ok: true; readonly receipt: SignedReceipt; readonly body: ReceiptBody }
  | { readonly ok: false; readonly reason: string };

/** The network of this Worker, from its name and its secret seed (64 hex digits). */
export async function networkOf(name: string, seed: string): Promise<Network> {
  const publicKey = ed25519.getPublicKey(hexToBytes(seed));
  // The key is the network's own and of full order, so WebCrypto's looser check of keys does not matter here.
  const verifier = await crypto.subtle.importKey("raw", publicKey, { name: "Ed25519" }, false, ["verify"]);
  return { name, key: base64url(publicKey), verifier };
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
  if (receipt.key !== network.key) return refuse("the receipt is signed with a key that is not this network's");
  if (!(await isSigned(receipt, network))) return refuse("the network's signature does not match the body");
  if (!isConserved(body)) return refuse("the shares do not sum to the charge");
  return { ok: true, receipt, body };
}

async function isSigned(receipt: SignedReceipt, { verifier }: Network): Promise<boolean> {
  const signature = parseSignature(receipt.signature);
  return signature !== null && crypto.subtle.verify("Ed25519", verifier, signature, receiptBytes(receipt.body));
}

/** Whether Σ parts = Σ shares in each backing. A receipt that breaks this would keep its window from ever closing. */
function isConserved(body: ReceiptBody): boolean {
  return imbalances(rollUp([body], 0)).length === 0;
}

function refuse(reason: string): Checked {
  return { ok: false, reason };
}
