import { createRoute } from "@hono/zod-openapi";
import { refuse } from "../../core/errors.ts";
import { formatCredits } from "../../core/units.ts";
import { emit } from "../../durable-objects/shared/events.ts";
import { sendCredits, transfer as transferShape } from "../../protocol/network/account.ts";
import { idempotencyHeaders } from "../../protocol/network/common.ts";
import { problem } from "../http.ts";
import { onAccount } from "../objects.ts";
import { answers, byKeyWithJson, named, newApi, problems, takes } from "./app.ts";

const postTransfer = createRoute({
  method: "post",
  path: "/transfers",
  tags: ["Account"],
  summary: "Send credits to another account",
  description:
    "Top-ups, earned and received credits can be sent; they arrive as received credits, with nothing behind them. A transfer " +
    "cannot be taken back. The same `id` never sends twice, so a call whose answer was lost can be sent again. The key needs " +
    "the scope `transfer`.",
  ...byKeyWithJson,
  request: { headers: idempotencyHeaders, body: takes(sendCredits) },
  responses: { 200: answers(named("Transfer", transferShape), "The transfer."), ...problems },
});

export const transfers = newApi();

transfers.openapi(postTransfer, async (c) => {
  const { account, secretHash } = c.var.key;
  const { to, amount: millicredits, memo = "", id = c.req.valid("header")["idempotency-key"] } = c.req.valid("json");
  if (id === undefined) {
    const detail = "id: must be there, or the header Idempotency-Key, so that a transfer is never made twice.";
    return problem(c, refuse("invalid_request", { detail, param: "id" }));
  }
  const command = { id, from: account, to, millicredits, memo };
  const result = await onAccount(c.env, account, (object) => object.send({ secretHash }, command));
  if (result.type === "refused") return problem(c, result.refusal);
  emit("credits_sent", { account, to, transfer: id, amount: millicredits, request_id: c.var.requestId });
  const { seq, delivered } = result;
  return c.json(
    { id, to, amount: formatCredits(millicredits), memo, seq, state: delivered ? "delivered" : "sent" } as const,
    200,
  );
});
