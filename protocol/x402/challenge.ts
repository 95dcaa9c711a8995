/**
 * Challenges: what a 402 asks to be paid, without a row anywhere. The memo is a MAC over all of it under the edge's key, so a
 * payment shows by its memo alone that it was asked for, of this account, as it says.
 */

import { base58 } from "@scure/base";
import type { AccountId } from "../../core/ids.ts";
import type { PackageId } from "../../core/packages.ts";
import { edgeMac } from "../edge-mac.ts";

const DOMAIN = "tollmill/x402/v1";

export interface Challenge {
  readonly account: AccountId;
  /** The id of the deposit that its payment becomes. */
  readonly deposit: string;
  readonly kind: "topup" | "package";
  readonly package: PackageId | null;
  /** In the coin's own unit, as text. */
  readonly amount: string;
  readonly expiresAt: number;
}

/** A challenge's memo, in the form of an address: 32 bytes in base58. */
export function memoOf(edgeKey: Uint8Array, challenge: Challenge): string {
  const { account, deposit, kind, package: id, amount, expiresAt } = challenge;
  return base58.encode(edgeMac(edgeKey, DOMAIN, JSON.stringify([account, deposit, kind, id, amount, expiresAt])));
}
