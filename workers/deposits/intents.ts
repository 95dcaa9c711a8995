/** Intents to pay: making them, and what they look like to who made them. */

import { base58 } from "@scure/base";
import { refuse } from "../../core/errors.ts";
import { type AccountId, base62 } from "../../core/ids.ts";
import { LIMITS } from "../../core/limits.ts";
import { PACKAGES, type PackageId } from "../../core/packages.ts";
import { formatUsd, formatUsdc, type MicroUsdc, microUsdcOf, type NanoUsd, nanoUsdOf } from "../../core/units.ts";
import { addIntent, countOpenIntents, getIntent, type IntentRow } from "../../db/deposit-intents.ts";
import type { DepositRow } from "../../db/deposits.ts";
import type { Answer } from "../../protocol/internal/account.ts";
import { timeText } from "../../protocol/network/common.ts";
import { payUrl } from "../../protocol/solana/pay-url.ts";
import type { SolanaConfig } from "../config.ts";

const LABEL = "Tollmill";
/** Everybody can read a memo, so it says nothing about who pays; without one wallets show none. */
const MEMO = "tollmill";

export type Wish =
  | { readonly kind: "topup"; readonly amount: NanoUsd }
  | { readonly kind: "package"; readonly package: PackageId };

/** Makes an intent, once for an id. `added` is false where the same was asked for before. */
export async function askToPay(
  db: D1Database,
  account: AccountId,
  id: string | undefined,
  wish: Wish,
  now: number,
): Promise<Answer<{ readonly intent: IntentRow; readonly added: boolean }>> {
  const made = newIntent(account, id ?? base62(randomBytes(16)), wish, now);
  const known = await getIntent(db, account, made.id);
  if (known !== null) return sameIntent(known, made);
  if ((await countOpenIntents(db, account, now)) >= LIMITS.depositIntents) {
    return { ok: false, refusal: refuse("deposit_limit") };
  }
  if (await addIntent(db, made)) return { ok: true, value: { intent: made, added: true } };
  const first = await getIntent(db, account, made.id);
  if (first === null) throw new Error("an intent went missing");
  return sameIntent(first, made);
}

function newIntent(account: AccountId, id: string, wish: Wish, now: number): IntentRow {
  const terms = wish.kind === "package" ? PACKAGES[wish.package] : null;
  const amount = microUsdcOf(wish.kind === "package" ? PACKAGES[wish.package].price : wish.amount);
  if (amount === null) throw new RangeError("an intent is for a whole number of USDC's units");
  return {
    account,
    id,
    kind: wish.kind,
    micro_usdc: amount,
    package: terms?.id ?? null,
    included: terms?.included ?? null,
    slots: terms?.slots ?? null,
    valid_ms: terms?.validMs ?? null,
    reference: base58.encode(randomBytes(32)),
    created_at: now,
    expires_at: now + LIMITS.depositIntentMs,
    checked_at: 0,
    via: "link",
  };
}

/** Terms are those of the first call, even where a package costs something else by now. */
function sameIntent(known: IntentRow, asked: IntentRow): Answer<{ intent: IntentRow; added: boolean }> {
  const isSame =
    known.kind === asked.kind &&
    known.package === asked.package &&
    (known.kind === "package" || known.micro_usdc === asked.micro_usdc);
  return isSame
    ? { ok: true, value: { intent: known, added: false } }
    : { ok: false, refusal: refuse("id_conflict", { param: "id" }) };
}

function randomBytes(length: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(length));
}

/** An intent with what arrived for it, as its owner sees it. */
export function shownIntent(intent: IntentRow, payments: readonly DepositRow[], solana: SolanaConfig, now: number) {
  const { id, kind, package: packageId, micro_usdc, reference, created_at, expires_at } = intent;
  const { treasury: recipient, usdcMint: mint } = solana;
  const amount = plainAmount(micro_usdc);
  return {
    id,
    kind,
    package: packageId,
    amount_usd: formatUsd(nanoUsdOf(micro_usdc)),
    state: stateOfIntent(intent, payments, now),
    recipient,
    mint,
    reference,
    solana_pay_url: payUrl({ recipient, amount, splToken: mint, reference, label: LABEL, memo: MEMO }),
    created_at: timeText(created_at),
    expires_at: timeText(expires_at),
    payments: payments.map(shownPayment),
  };
}

/** Without noughts at its end: wallets show it as it is. */
function plainAmount(amount: MicroUsdc): string {
  return formatUsdc(amount).replace(/\.?0+$/, "");
}

function stateOfIntent({ expires_at }: IntentRow, payments: readonly DepositRow[], now: number) {
  const has = (...states: readonly DepositRow["state"][]) => payments.some(({ state }) => states.includes(state));
  if (has("seen")) return "seen" as const;
  if (has("credited")) return "credited" as const;
  if (has("suspense", "resolving", "returned", "kept")) return "suspense" as const;
  if (expires_at <= now) return "expired" as const;
  // Who failed may try again with the same link.
  return has("failed") ? ("failed" as const) : ("open" as const);
}

/** What arrived, as its owner and operators see it. */
export function shownPayment(deposit: DepositRow) {
  const { id, signature, instruction, at, kind, micro_usdc, mint, units, payer, state, reason, seq } = deposit;
  const amount_usdc = formatUsdc(micro_usdc);
  return { id, signature, instruction, at: timeText(at), kind, amount_usdc, mint, units, payer, state, reason, seq };
}
