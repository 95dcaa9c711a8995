/** What a 402 offers to be paid (economics.md §10): a top-up that covers what is missing, and every package. */

import { topUpFor } from "../../core/deposits/top-up.ts";
import { type AccountId, base62 } from "../../core/ids.ts";
import { LIMITS } from "../../core/limits.ts";
import { PACKAGES, type PackageId } from "../../core/packages.ts";
import { GENESIS_PEG, type Millicredits, microUsdcOf, type NanoUsd } from "../../core/units.ts";
import { memoOf } from "../../protocol/x402/challenge.ts";
import { type PaymentRequired, type PaymentRequirements, SCHEME, X402_VERSION } from "../../protocol/x402/messages.ts";
import type { Config } from "../config.ts";

interface Offer {
  readonly kind: "topup" | "package";
  readonly package: PackageId | null;
  readonly price: NanoUsd;
}

/**
 * A challenge for an account that lacks so much, for a call of `url`; null where the network takes no such payments. The
 * top-up comes first: clients that choose nothing pay the first one. All of them are of one deposit, so one can be paid.
 */
export function paymentRequired(
  { edgeKey, solana }: Config,
  account: AccountId,
  shortfall: Millicredits,
  call: { readonly url: string; readonly error: string },
  now: number,
): PaymentRequired | null {
  if (solana === null || solana.x402 === null) return null;
  const { treasury: payTo, usdcMint: asset, x402 } = solana;
  const { network, feePayer } = x402;
  const deposit = `x402-${base62(crypto.getRandomValues(new Uint8Array(16)))}`;
  const expiresAt = now + LIMITS.x402ChallengeMs;
  const accepts = offersFor(shortfall).map(({ kind, package: id, price }): PaymentRequirements => {
    const amount = String(microUsdcOf(price));
    const memo = memoOf(edgeKey, { account, deposit, kind, package: id, amount, expiresAt });
    return {
      scheme: SCHEME,
      network,
      amount,
      asset,
      payTo,
      maxTimeoutSeconds: LIMITS.x402WaitMs / 1_000,
      extra: { feePayer, memo, kind, package: id, deposit, expiresAt },
    };
  });
  const resource = { url: call.url, description: "Inference on Tollmill", mimeType: "application/json" };
  return { x402Version: X402_VERSION, error: call.error, resource, accepts };
}

function offersFor(shortfall: Millicredits): Offer[] {
  const topUp = topUpFor(shortfall, GENESIS_PEG);
  const packages = Object.values(PACKAGES).map(({ id, price }) => ({ kind: "package", package: id, price }) as const);
  return topUp === null ? packages : [{ kind: "topup", package: null, price: topUp }, ...packages];
}
