/** A call that comes with its payment: the payment is final and credited before the call goes on. */

import type { Context } from "hono";
import { type Refusal, refuse } from "../../core/errors.ts";
import type { PaymentRow } from "../../db/x402-payments.ts";
import { emit, emitError } from "../../durable-objects/shared/events.ts";
import type { ApiKey } from "../../protocol/api-key.ts";
import { encodeHeader, type PaymentResponse } from "../../protocol/x402/messages.ts";
import type { Config } from "../config.ts";
import type { HttpEnv } from "../http.ts";
import { onAccount } from "../objects.ts";
import { follow } from "./settle.ts";

/** Seconds after which a client asks again for a payment that is under way. */
const RETRY_AFTER = "2";

/**
 * Takes the payment of a call for the account of its key, and says in PAYMENT-RESPONSE how it went. Null: it was credited,
 * now or at an earlier try. A client that goes away ends its call, and not its payment.
 */
export async function payWithCall(
  c: Context<HttpEnv>,
  config: Config,
  { account, secretHash }: ApiKey,
  header: string,
): Promise<Refusal | null> {
  const alive = await onAccount(c.env, account, (object) => object.check({ secretHash }, "inference"));
  if (!alive.ok) return alive.refusal;
  const { solana } = config;
  if (solana === null || solana.x402 === null) return refuse("payments_unavailable");
  const { network } = solana.x402;
  const tell = (response: PaymentResponse) => c.header("payment-response", encodeHeader(response));
  const fail = (refusal: Refusal, payment?: PaymentRow): Refusal => {
    const { signature: transaction = "", payer } = payment ?? {};
    tell({
      success: false,
      errorReason: refusal.code,
      transaction,
      network,
      ...(payer === undefined ? {} : { payer }),
    });
    return refusal;
  };
  const { paymentDesk, takePayment } = await import("./desk.ts");
  const desk = paymentDesk(c.env, solana);
  const terms = { edgeKey: config.edgeKey, solana, x402: solana.x402 };
  const taken = await takePayment(desk, terms, account, header, Date.now()).catch((error: unknown) => {
    emitError("payment_not_taken", error, { account, request_id: c.var.requestId });
    return { ok: false, refusal: refuse("payments_unavailable") } as const;
  });
  if (!taken.ok) {
    emit("payment_refused", { account, code: taken.refusal.code, request_id: c.var.requestId });
    return fail(taken.refusal);
  }
  const payment = taken.value;
  const { signature: transaction, payer } = payment;
  const following = follow(desk, payment);
  c.executionCtx.waitUntil(following);
  const refusal = endingRefusal(await following, payment);
  if (refusal === null) {
    tell({ success: true, transaction, network, payer });
    return null;
  }
  if (refusal.code === "payment_pending") c.header("retry-after", RETRY_AFTER);
  return fail(refusal, payment);
}

function endingRefusal(state: PaymentRow["state"], { intent: deposit, signature }: PaymentRow): Refusal | null {
  const metadata = { deposit, signature };
  if (state === "final") return null;
  if (state === "pending") return refuse("payment_pending", { metadata });
  return refuse(state === "failed" ? "payment_failed" : "payment_blockhash_expired", { metadata });
}
