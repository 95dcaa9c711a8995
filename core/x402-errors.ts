/** Errors of payments that come with a call (docs/x402.md): a part of the one table (core/errors.ts). */

import { row } from "./error-row.ts";

/** A payment that is refused was not sent, so its payer has its money. */
const refused = (title: string, fix: string) => row(402, "insufficient_quota", title, fix);

const AGAIN = "Call again without a payment for a new challenge.";

export const X402_ERRORS = {
  invalid_payment: row(
    400,
    "invalid_request_error",
    "The header PAYMENT-SIGNATURE is no payment of x402 version 2.",
    "Send the base64 of its JSON, with the transaction as its client's library writes it.",
  ),
  payments_unavailable: row(
    503,
    "server_error",
    "Payments that come with a call cannot be taken now.",
    "Try again with the same payment, or pay a link: POST /api/v1/deposits.",
  ),
  payment_limit: row(
    429,
    "rate_limit_error",
    "Too many payments are under way.",
    "Send the same payment again when the others have ended: GET /api/v1/deposits lists them.",
  ),
  payment_wrong_network: refused("The payment is for another network or scheme.", AGAIN),
  payment_wrong_mint: refused("The payment is in another coin.", "Pay in the `asset` that the challenge names."),
  payment_wrong_destination: refused(
    "The payment goes somewhere else.",
    "Pay to the associated token account of `payTo`.",
  ),
  payment_wrong_amount: refused("The payment is of another amount.", "Pay exactly the `amount` of the challenge."),
  payment_wrong_fee_payer: refused(
    "The transaction uses the network's fee payer for something else than its fee.",
    "Name `extra.feePayer` as the fee payer, and in no instruction.",
  ),
  payment_fee_too_high: refused(
    "The transaction's priority fee is higher than the network pays.",
    "Ask for fewer compute units, or offer less for each.",
  ),
  payment_foreign_instruction: refused(
    "The transaction does more than pay.",
    "Send a compute unit limit, a compute unit price, one transferChecked and the memo, in this order.",
  ),
  payment_wrong_memo: refused(
    "The transaction's memo is not the challenge's.",
    "Write `extra.memo` as it is, as the one memo of the transaction.",
  ),
  payment_wrong_signature: refused(
    "The transaction is not signed by its payer alone.",
    "Sign its message with the wallet that pays, and with no other.",
  ),
  payment_unknown: refused("The payment answers no challenge of this account.", AGAIN),
  payment_expired: refused("The challenge is older than it may be.", AGAIN),
  payment_used: refused("The challenge was answered with another payment before.", AGAIN),
  payment_blockhash_expired: refused("The payment's blockhash has expired, so it can never land.", AGAIN),
  payment_insufficient_funds: refused("The wallet does not have that much.", "Fill it, then call again."),
  payment_failed: refused("The payment fails on Solana, so nothing was paid.", AGAIN),
  payment_pending: refused(
    "The payment was sent and is not final yet.",
    "Send the same call with the same payment again: it is paid once, and GET /api/v1/deposits/{id} tells how it goes.",
  ),
} as const;
