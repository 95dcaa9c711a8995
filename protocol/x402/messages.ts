/**
 * What x402 version 2 sends in its headers (github.com/x402-foundation/x402, specs/transports-v2/http.md): JSON in base64.
 * Of the scheme `exact` on Solana, with what this network adds under `extra`.
 */

import { base64, utf8 } from "@scure/base";
import { z } from "zod";
import { LIMITS } from "../../core/limits.ts";
import { PACKAGE_IDS } from "../../core/packages.ts";
import { utf8ToBytes } from "../../core/receipt/canonical.ts";
import { MAX_AMOUNT } from "../../core/units.ts";

export const X402_VERSION = 2;
export const SCHEME = "exact";

const address = z.string().regex(/^[1-9A-HJ-NP-Za-km-z]{32,44}$/);

/** What a payment may be for, and by whom and how it is recognised. */
const extra = z.object({
  feePayer: address.meta({ description: "Who pays Solana's fee: the network. It is the transaction's fee payer." }),
  memo: address.meta({ description: "The transaction's memo, by which the payment is recognised." }),
  kind: z.enum(["topup", "package"]),
  package: z.enum(PACKAGE_IDS).nullable().meta({ example: "starter" }),
  deposit: z.string().max(64).meta({ description: "The deposit that a payment becomes: GET /api/v1/deposits/{id}." }),
  expiresAt: z.int().min(0).max(MAX_AMOUNT).meta({ description: "Until when it may be paid, in ms since 1970." }),
});

export const paymentRequirements = z.object({
  scheme: z.string().max(32).meta({ example: SCHEME }),
  network: z.string().max(64).meta({ description: "By CAIP-2.", example: "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp" }),
  amount: z
    .string()
    .regex(/^\d{1,15}$/)
    .meta({ description: "In the coin's own unit.", example: "50000000" }),
  asset: address.meta({ description: "The mint of USDC." }),
  payTo: address.meta({ description: "The treasury's wallet." }),
  maxTimeoutSeconds: z.int().meta({ description: "How long the call waits until the payment is final.", example: 60 }),
  extra,
});
export type PaymentRequirements = z.infer<typeof paymentRequirements>;

/** The header PAYMENT-REQUIRED, and `metadata.x402` of a soft stop. */
export const paymentRequired = z.object({
  x402Version: z.literal(X402_VERSION),
  error: z.string().meta({ example: "The balance does not cover this request." }),
  resource: z.object({
    url: z.string().meta({ example: "https://api.example.com/v1/chat/completions" }),
    description: z.string().meta({ example: "Inference on Tollmill" }),
    mimeType: z.string().meta({ example: "application/json" }),
  }),
  accepts: z
    .array(paymentRequirements)
    .meta({ description: "One top-up and every package. Of these one may be paid." }),
});
export type PaymentRequired = z.infer<typeof paymentRequired>;

const MOST_TRANSACTION_CHARACTERS = 4 * Math.ceil(1_232 / 3);

/** The header PAYMENT-SIGNATURE. What a client adds beside these is not read. */
const paymentPayload = z.object({
  x402Version: z.literal(X402_VERSION),
  accepted: paymentRequirements,
  payload: z.object({ transaction: z.string().min(1).max(MOST_TRANSACTION_CHARACTERS) }),
});
export type PaymentPayload = z.infer<typeof paymentPayload>;

/** The header PAYMENT-RESPONSE. */
export interface PaymentResponse {
  readonly success: boolean;
  readonly errorReason?: string;
  /** The transaction's signature; empty where it was not sent. */
  readonly transaction: string;
  readonly network: string;
  readonly payer?: string;
}

/** A value as a header carries it. */
export function encodeHeader(value: PaymentRequired | PaymentResponse): string {
  return base64.encode(utf8ToBytes(JSON.stringify(value)));
}

/** Reads the header PAYMENT-SIGNATURE; null for what is none. */
export function parsePayment(header: string): PaymentPayload | null {
  if (header.length > LIMITS.x402HeaderCharacters) return null;
  try {
    return paymentPayload.parse(JSON.parse(utf8.encode(base64.decode(header))));
  } catch {
    return null;
  }
}
