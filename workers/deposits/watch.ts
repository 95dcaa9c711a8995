/** What makes the network look for deposits: the clock, and whoever waits for one. */

import type { IntentRow } from "../../db/deposit-intents.ts";
import { getPayment } from "../../db/x402-payments.ts";
import { emitError } from "../../durable-objects/shared/events.ts";
import { configOf, type SolanaConfig } from "../config.ts";

/** Looks at everything. Does nothing in a network that takes no deposits. */
export async function scanForDeposits(env: Env, now: number): Promise<void> {
  const { solana } = configOf(env);
  if (solana === null) return;
  const [{ scanDeposits }, { settlePayments }, desk] = await loaded(env, solana);
  await settlePayments(desk);
  await scanDeposits({ ...desk, now });
}

/** Looks for the payment of an intent that somebody waits for. Never throws: whoever waits asks again. */
export async function watchIntent(env: Env, intent: IntentRow, now: number): Promise<void> {
  const { solana } = configOf(env);
  if (solana === null) return;
  const { account, id } = intent;
  try {
    const [{ scanIntent }, { advanceSafely }, desk] = await loaded(env, solana);
    if (intent.via === "link") return await scanIntent({ ...desk, now }, intent);
    const payment = await getPayment(env.DB, account, id);
    if (payment !== null) await advanceSafely(desk, payment, true);
  } catch (error) {
    emitError("deposit_watch_failed", error, { account, intent: id });
  }
}

/** The library behind it is large, and most requests never need it. */
async function loaded(env: Env, solana: SolanaConfig) {
  const [scan, settle, { paymentDesk }] = await Promise.all([
    import("./scan.ts"),
    import("../x402/settle.ts"),
    import("../x402/desk.ts"),
  ]);
  return [scan, settle, paymentDesk(env, solana)] as const;
}
