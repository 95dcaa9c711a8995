/**
 * Takes a payment on: checks that it answers a challenge of its account and does what it has to, signs it as the fee payer, and
 * stores its bytes. Nothing was sent then, and whoever sends it finds it stored. The same payment once more is the stored one.
 */

import { base64 } from "@scure/base";
import { type Refusal, refuse } from "../../core/errors.ts";
import type { AccountId } from "../../core/ids.ts";
import { LIMITS } from "../../core/limits.ts";
import { PACKAGES } from "../../core/packages.ts";
import { microUsdc, microUsdcOf } from "../../core/units.ts";
import type { IntentRow } from "../../db/deposit-intents.ts";
import { addPayment, countOpenPayments, getPayment, type PaymentRow } from "../../db/x402-payments.ts";
import type { Answer } from "../../protocol/internal/account.ts";
import { memoOf } from "../../protocol/x402/challenge.ts";
import { checkPayment } from "../../protocol/x402/check-payment.ts";
import { type PaymentPayload, type PaymentRequirements, parsePayment, SCHEME } from "../../protocol/x402/messages.ts";
import type { Config, SolanaConfig, X402Config } from "../config.ts";
import type { PaymentDesk } from "./settle.ts";
import { readWire, signWire } from "./wire.ts";

const no = (refusal: Refusal) => ({ ok: false, refusal }) as const;

/** The stored payment of a header, or why there is none. Throws what D1 throws. */
export async function takePayment(
  desk: PaymentDesk,
  config: Pick<Config, "edgeKey"> & { readonly solana: SolanaConfig; readonly x402: X402Config },
  account: AccountId,
  header: string,
  now: number,
): Promise<Answer<PaymentRow>> {
  const { DB } = desk.env;
  const sent = parsePayment(header);
  if (sent === null) return no(refuse("invalid_payment"));
  const { accepted } = sent;
  const asked = challengeRefusal(accepted, config, account);
  if (asked !== null) return no(asked);
  const { extra, amount } = accepted;
  const read = readSent(sent);
  if (read === null) return no(refuse("invalid_payment", { detail: "The transaction cannot be read." }));
  const micro = microUsdc(Number(amount));
  const { mint, tokenAccount } = desk.treasury;
  const { feePayer, feePayerSeed } = config.x402;
  const checked = checkPayment(read.wire, { feePayer, mint, tokenAccount, amount: micro, memo: extra.memo });
  if (!checked.ok) return checked;
  const { bytes, signature } = signWire(read.transaction, feePayerSeed);
  const known = await getPayment(DB, account, extra.deposit);
  if (known !== null) return sameOrUsed(known, signature);
  const against = staleRefusal(accepted, now) ?? (await limitRefusal(desk, account, now));
  if (against !== null) return no(against);
  const tip = await tryOut(desk, bytes);
  if ("code" in tip) return no(tip);
  const payment: PaymentRow = {
    account,
    intent: extra.deposit,
    signature,
    bytes: base64.encode(bytes),
    payer: checked.payer,
    micro_usdc: micro,
    last_block: tip.block + LIMITS.x402BlockhashBlocks,
    state: "pending",
    created_at: now,
  };
  if (await addPayment(DB, intentOf(accepted, account, now), payment)) return { ok: true, value: payment };
  const first = await getPayment(DB, account, extra.deposit);
  if (first !== null) return sameOrUsed(first, signature);
  return no(refuse("payment_limit", { detail: "Another payment of this wallet is under way." }));
}

/** What stands against what was agreed to: it must be what this network asked of this account, to the letter. */
function challengeRefusal(
  { scheme, network, asset, payTo, amount, extra }: PaymentRequirements,
  { edgeKey, solana, x402 }: Parameters<typeof takePayment>[1],
  account: AccountId,
): Refusal | null {
  if (scheme !== SCHEME || network !== x402.network) return refuse("payment_wrong_network");
  if (asset !== solana.usdcMint) return refuse("payment_wrong_mint");
  if (payTo !== solana.treasury) return refuse("payment_wrong_destination");
  const { deposit, kind, package: id, expiresAt, memo, feePayer } = extra;
  // A key that was changed since then leaves challenges behind that nobody can sign for.
  const isOurs = memo === memoOf(edgeKey, { account, deposit, kind, package: id, amount, expiresAt });
  return isOurs && feePayer === x402.feePayer ? null : refuse("payment_unknown");
}

function readSent({ payload }: PaymentPayload): ReturnType<typeof readWire> | null {
  try {
    return readWire(base64.decode(payload.transaction));
  } catch {
    return null;
  }
}

function sameOrUsed(known: PaymentRow, signature: string): Answer<PaymentRow> {
  return known.signature === signature ? { ok: true, value: known } : no(refuse("payment_used"));
}

/** A package's price may have changed since it was offered. */
function staleRefusal({ extra, amount }: PaymentRequirements, now: number): Refusal | null {
  const offered = extra.package === null || microUsdcOf(PACKAGES[extra.package].price) === Number(amount);
  return offered && now <= extra.expiresAt ? null : refuse("payment_expired");
}

async function limitRefusal({ env }: PaymentDesk, account: AccountId, now: number): Promise<Refusal | null> {
  const open = await countOpenPayments(env.DB, account, now - LIMITS.x402OpenMs);
  return open < LIMITS.x402OpenPayments ? null : refuse("payment_limit");
}

/** Lets a node run it, and gives how high the chain is, or what stands against it. */
async function tryOut({ node }: PaymentDesk, bytes: Uint8Array): Promise<Refusal | { readonly block: number }> {
  const error = await node.simulate(bytes);
  return error === null ? await node.tip("confirmed") : simulationRefusal(error);
}

/** The place of the transfer among the instructions. */
const TRANSFER = 2;

function simulationRefusal(error: unknown): Refusal {
  if (error === "BlockhashNotFound") return refuse("payment_blockhash_expired");
  // These are about who pays the fee, which is the network.
  if (error === "AccountNotFound" || error === "InsufficientFundsForFee") return refuse("payments_unavailable");
  const [at, reason] = (error as { InstructionError?: [number, unknown] }).InstructionError ?? [];
  const isLacking = (reason as { Custom?: number } | undefined)?.Custom === 1 || reason === "InvalidAccountData";
  // A wallet without a token account has as little as one whose account holds too little.
  if (at === TRANSFER && isLacking) return refuse("payment_insufficient_funds");
  return refuse("payment_failed", { detail: `Solana says ${JSON.stringify(error)}, so the payment was not sent.` });
}

function intentOf({ amount, extra }: PaymentRequirements, account: AccountId, now: number): IntentRow {
  const terms = extra.package === null ? null : PACKAGES[extra.package];
  return {
    account,
    id: extra.deposit,
    kind: extra.kind,
    micro_usdc: microUsdc(Number(amount)),
    package: terms?.id ?? null,
    included: terms?.included ?? null,
    slots: terms?.slots ?? null,
    valid_ms: terms?.validMs ?? null,
    reference: extra.memo,
    created_at: now,
    // It lands within minutes or never.
    expires_at: now + LIMITS.depositIntentMs,
    checked_at: 0,
    via: "x402",
  };
}
