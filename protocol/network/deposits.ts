/** Shapes of deposits: what an account asks to pay, and what arrived for it. */

import { z } from "zod";
import { DEPOSIT_REASONS } from "../../core/deposits/judge.ts";
import { LIMITS } from "../../core/limits.ts";
import { PACKAGE_IDS, type Package } from "../../core/packages.ts";
import { DAY_MS } from "../../core/time.ts";
import { formatUsd, type NanoUsd, nanoUsd } from "../../core/units.ts";
import { clientId } from "../ids.ts";
import { queryLimit, time, usd, usdInput } from "./common.ts";

export const packageOffer = z.object({
  id: z.enum(PACKAGE_IDS),
  price_usd: usd.meta({ example: "50.000000000" }),
  included_usd: usd.meta({ description: "The usage that it includes, in USD.", example: "50.000000000" }),
  slots: z.int().meta({
    description: "Jobs that go ahead of all others at once. More may run, and queue with the others.",
    example: 1,
  }),
  queue_p95_ms: z.int().meta({ description: "What 95 of 100 of the jobs in its slots wait at most.", example: 2_000 }),
  valid_days: z.int().meta({ example: 30 }),
});

/** A package as its buyers see it. */
export function shownPackage({
  id,
  price,
  included,
  slots,
  queueP95Ms,
  validMs,
}: Package): z.infer<typeof packageOffer> {
  return {
    id,
    price_usd: formatUsd(price),
    included_usd: formatUsd(included),
    slots,
    queue_p95_ms: queueP95Ms,
    valid_days: validMs / DAY_MS,
  };
}

export const packageList = z.object({ data: z.array(packageOffer) });

/** It stands in paths, where dots alone would mean something else. */
export const depositIntentId = clientId
  .refine((id) => /^[A-Za-z0-9]/.test(id), "must begin with a letter or a digit")
  .meta({ description: "The account's own id of the intent: the same id never asks twice.", example: "topup-1" });

const [least, most] = [LIMITS.depositLeastNanoUsd, LIMITS.depositMostNanoUsd].map((amount) => nanoUsd(amount)) as [
  NanoUsd,
  NanoUsd,
];

const depositAmount = usdInput
  .refine((amount) => amount % 1_000 === 0, "must have at most six places, as USDC has")
  .refine((amount) => amount >= least && amount <= most, `must be from ${formatUsd(least)} to ${formatUsd(most)}`)
  .meta({ type: "string", description: "USD, a decimal string with at most six places.", example: "20.00" });

export const askDeposit = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("topup"), id: depositIntentId.optional(), amount: depositAmount }),
  z.strictObject({ kind: z.literal("package"), id: depositIntentId.optional(), package: z.enum(PACKAGE_IDS) }),
]);

const usdc = z.string().regex(/^\d{1,10}\.\d{6}$/);

export const PAYMENT_STATES = ["seen", "credited", "suspense", "resolving", "returned", "kept", "failed"] as const;

const REASONS =
  "`exact`; `short`, `over`, `late` (after `expires_at`) and `again` (the package was paid before): what arrived, or what " +
  "was over, was credited as a top-up; `failed`: the transaction failed and nothing arrived; `wrong_mint`: another coin than " +
  "USDC; `no_reference`, `several_references`: nobody can tell whose it is; `unreadable`: the treasury's balance and the " +
  "instructions differ; `account_full`: the account could not take it; `operators`: two operators decided.";

export const payment = z.object({
  id: z.string().meta({ example: "1uPYvJZ0zXkq3pYt8mC2Qa" }),
  signature: z.string().meta({ description: "The transaction that brought it." }),
  instruction: z
    .int()
    .meta({ description: "Its place in the transaction; -1 where it could not be told.", example: 2 }),
  at: time.meta({ description: "When it happened, as the chain says." }),
  kind: z.enum(["topup", "package"]).meta({ description: "What it becomes." }),
  amount_usdc: usdc.meta({ description: "What reached the treasury in USDC.", example: "20.000000" }),
  mint: z.string().meta({ description: "The coin that arrived." }),
  units: z.string().meta({ description: "How much of it, in the coin's own unit.", example: "20000000" }),
  payer: z.string().nullable().meta({ description: "The wallet that it came from.", example: null }),
  state: z.enum(PAYMENT_STATES).meta({
    description:
      "`seen`: it is final, and about to be credited; `credited`; `suspense`: two operators have to decide; `resolving`: " +
      "they have; `returned`: it was paid back; `kept`: it is the network's own; `failed`: nothing arrived.",
  }),
  reason: z.enum(DEPOSIT_REASONS).meta({ description: REASONS }),
  seq: z.int().nullable().meta({ description: "Its entry in the account's ledger.", example: 2 }),
});

export const deposit = z.object({
  id: depositIntentId,
  kind: z.enum(["topup", "package"]),
  package: z.enum(PACKAGE_IDS).nullable().meta({ example: null }),
  amount_usd: usd.meta({ description: "What is to be paid, in USDC.", example: "20.000000000" }),
  state: z.enum(["open", "seen", "credited", "suspense", "failed", "expired"]).meta({
    description: "`open` until it is paid or `expires_at`; then as its payments are. What comes later is credited too.",
  }),
  recipient: z.string().meta({ description: "The treasury's wallet on Solana." }),
  mint: z.string().meta({ description: "The mint of USDC." }),
  reference: z.string().meta({ description: "The public key that a payment must name: it tells whose it is." }),
  solana_pay_url: z.string().meta({
    description: "A transfer request of Solana Pay, for a link or a QR code.",
    example: "solana:7Np4…?amount=20&spl-token=EPjF…&reference=8sLb…&label=Tollmill&memo=tollmill",
  }),
  created_at: time,
  expires_at: time,
  payments: z.array(payment).meta({ description: "What arrived for it, each with its reason." }),
});

export const depositQuery = z.object({
  cursor: z.string().max(128).optional().meta({ description: "The `next` of the page before." }),
  limit: queryLimit.optional(),
});

export const depositPage = z.object({
  data: z.array(deposit),
  unasked: z
    .array(payment)
    .meta({ description: "The latest payments that operators found to be this account's; on the first page." }),
  next: z.string().nullable(),
});
