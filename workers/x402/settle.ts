/**
 * Brings stored payments to their end: sends their bytes until they are final or can never be, and credits them as every other
 * deposit. Each step may be done twice, by several at once, or be left to the next one who looks.
 */

import { base64 } from "@scure/base";
import { LIMITS } from "../../core/limits.ts";
import { depositsOfIntents } from "../../db/deposits.ts";
import { duePayments, endPayment, type PaymentRow } from "../../db/x402-payments.ts";
import { emit, emitError } from "../../durable-objects/shared/events.ts";
import type { Treasury } from "../../protocol/solana/arrivals.ts";
import type { Chain } from "../deposits/chain.ts";
import { creditEach } from "../deposits/credit.ts";
import { takeTransaction } from "../deposits/take.ts";
import type { PaymentNode } from "./payment-node.ts";

/** What payments are taken and brought to their end with. */
export interface PaymentDesk {
  readonly env: Env;
  readonly node: PaymentNode;
  readonly chain: Chain;
  readonly treasury: Treasury;
}

type State = PaymentRow["state"];

/** Looks at a payment until it has ended, at most `waitMs`. `pending`: it has not, and the next scan goes on with it. */
export async function follow(
  desk: PaymentDesk,
  payment: PaymentRow,
  { waitMs = LIMITS.x402WaitMs, pollMs = LIMITS.x402PollMs }: { waitMs?: number; pollMs?: number } = {},
): Promise<State> {
  const until = Date.now() + waitMs;
  for (let look = 0; ; look++) {
    const state = await advanceSafely(desk, payment, look % LIMITS.x402LooksPerSend === 0);
    if (state !== "pending" || Date.now() + pollMs > until) return state;
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

/** Goes on with all payments that are under way. */
export async function settlePayments(desk: PaymentDesk): Promise<void> {
  for (const payment of await duePayments(desk.env.DB, LIMITS.x402Due)) await advanceSafely(desk, payment, true);
}

/** Goes on with one payment. Never throws: what failed is tried again. */
export async function advanceSafely(desk: PaymentDesk, payment: PaymentRow, sends: boolean): Promise<State> {
  if (payment.state !== "pending") return payment.state;
  try {
    return await advance(desk, payment, sends);
  } catch (error) {
    const { account, intent, signature } = payment;
    emitError("payment_not_settled", error, { account, intent, signature });
    return "pending";
  }
}

async function advance(desk: PaymentDesk, payment: PaymentRow, sends: boolean): Promise<State> {
  const { found } = await desk.node.status(payment.signature);
  if (found?.isFinal === true) return await takeIn(desk, payment, found.hasFailed);
  if (found !== null) return "pending";
  if (await canNeverLand(desk, payment)) return await end(desk, payment, "expired");
  if (!sends) return "pending";
  try {
    await desk.node.send(base64.decode(payment.bytes));
  } catch (error) {
    // It may have landed all the same; only its status tells.
    emitError("payment_not_sent", error, { account: payment.account, intent: payment.intent });
  }
  return "pending";
}

/** Whether its blockhash has expired for good, and a node that has come so far has not heard of it. */
async function canNeverLand({ node }: PaymentDesk, { signature, last_block }: PaymentRow): Promise<boolean> {
  const tip = await node.tip("finalized");
  if (tip.block <= last_block) return false;
  const { found, slot } = await node.status(signature);
  return found === null && slot >= tip.slot;
}

/** Writes what a final transaction brought and credits it, as the scan for deposits would. */
async function takeIn(desk: PaymentDesk, payment: PaymentRow, hasFailed: boolean): Promise<State> {
  const { env, chain, treasury } = desk;
  const { account, intent, signature } = payment;
  await takeTransaction(env.DB, chain, treasury, signature, Date.now());
  if (hasFailed) return await end(desk, payment, "failed");
  await creditEach(env, await depositsOfIntents(env.DB, account, [intent]));
  const left = await depositsOfIntents(env.DB, account, [intent]);
  if (left.length === 0) throw new Error("a final payment has left no deposit");
  if (left.some(({ state }) => state === "seen")) return "pending";
  return await end(desk, payment, "final");
}

async function end({ env }: PaymentDesk, payment: PaymentRow, state: State): Promise<State> {
  await endPayment(env.DB, payment, state);
  const { account, intent, signature, micro_usdc } = payment;
  emit("payment_ended", { account, intent, signature, micro_usdc, state });
  return state;
}
