/**
 * Payments that came with a call, in D1. One is stored with its intent before it is sent; after that its state changes once,
 * by a statement that names the one it starts from.
 */

import type { D1Database } from "@cloudflare/workers-types";
import { and, asc, count, eq, gt, inArray } from "drizzle-orm";
import type { AccountId } from "../core/ids.ts";
import { open } from "./client.ts";
import type { IntentRow } from "./deposit-intents.ts";
import { failureOf } from "./failure.ts";
import { depositIntents, x402Payments } from "./schema.ts";

export type PaymentRow = typeof x402Payments.$inferSelect;

/** Stores a payment and its intent. False where its challenge was answered before, or its payer has another under way. */
export async function addPayment(db: D1Database, intent: IntentRow, payment: PaymentRow): Promise<boolean> {
  const d1 = open(db);
  try {
    await d1.batch([d1.insert(depositIntents).values(intent), d1.insert(x402Payments).values(payment)]);
    return true;
  } catch (error) {
    if (failureOf(error) === "taken") return false;
    throw error;
  }
}

/** The payment of an account's intent, or null. */
export async function getPayment(db: D1Database, account: AccountId, intent: string): Promise<PaymentRow | null> {
  return (await open(db).select().from(x402Payments).where(isPayment({ account, intent })).get()) ?? null;
}

/** An account's payments since a time that are under way or have failed. */
export async function countOpenPayments(db: D1Database, account: AccountId, since: number): Promise<number> {
  const isOpen = and(
    eq(x402Payments.account, account),
    gt(x402Payments.created_at, since),
    inArray(x402Payments.state, ["pending", "failed"]),
  );
  return (await open(db).select({ open: count() }).from(x402Payments).where(isOpen).get())?.open ?? 0;
}

/** Payments that may land, or have and are not credited yet, oldest first. */
export async function duePayments(db: D1Database, limit: number): Promise<PaymentRow[]> {
  const rows = open(db).select().from(x402Payments).where(eq(x402Payments.state, "pending"));
  return rows.orderBy(asc(x402Payments.created_at)).limit(limit).all();
}

/** Ends a payment. Nothing changes where it has ended before. */
export async function endPayment(db: D1Database, payment: PaymentRow, state: PaymentRow["state"]): Promise<void> {
  const isOpen = and(isPayment(payment), eq(x402Payments.state, "pending"));
  await open(db).update(x402Payments).set({ state }).where(isOpen);
}

function isPayment({ account, intent }: Pick<PaymentRow, "account" | "intent">) {
  return and(eq(x402Payments.account, account), eq(x402Payments.intent, intent));
}
