/**
 * The addresses that the local chain begins with.
 *
 * LOCAL ONLY: their keys follow from texts that everybody can read. Anywhere but on this machine they are worthless.
 */

import { createHash } from "node:crypto";
import { ed25519 } from "@noble/curves/ed25519.js";
import { base58 } from "@scure/base";
import type { Address } from "@solana/kit";

/** The private key that follows from a name, for this chain alone. */
export function localOnlySeed(name: string): Uint8Array {
  return createHash("sha256").update(`tollmill local only: ${name}`).digest();
}

function localOnlyAddress(name: string): Address {
  return base58.encode(ed25519.getPublicKey(localOnlySeed(name))) as Address;
}

/** Pays everybody who asks, and may mint both coins. */
export const FAUCET = localOnlyAddress("faucet");
/** Where the local network's deposits are paid to. */
export const TREASURY = localOnlyAddress("treasury");
/** Pays Solana's fees of payments that come with a call. */
export const X402_FEE_PAYER = localOnlyAddress("x402 fee payer");
/** As the edge is given it, in hex. */
export const X402_FEE_PAYER_SEED = Buffer.from(localOnlySeed("x402 fee payer")).toString("hex");
export const USDC_MINT = localOnlyAddress("USDC mint");
export const ONE_MINT = localOnlyAddress("ONE mint");
export const SOL_DECIMALS = 9;
export const USDC_DECIMALS = 6;
export const ONE_DECIMALS = 9;
