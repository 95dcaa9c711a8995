import { createRoute } from "@hono/zod-openapi";
import { refuse } from "../../core/errors.ts";
import type { AccountId } from "../../core/ids.ts";
import { emit } from "../../durable-objects/shared/events.ts";
import { timeText } from "../../protocol/network/common.ts";
import { makeStarterCodes, starterCodeList, starterUsed, useStarterCode } from "../../protocol/network/starters.ts";
import { starterCodes } from "../../protocol/starter-code.ts";
import { configOf } from "../config.ts";
import { problem } from "../http.ts";
import { onAccount } from "../objects.ts";
import { grantByCode } from "../starter.ts";
import { answers, byAdminWithJson, byKeyWithJson, named, newApi, problems, takes } from "./app.ts";

const postStarter = createRoute({
  method: "post",
  path: "/starter",
  tags: ["Account"],
  summary: "Use a starter code",
  description:
    "Gives the account the starter balance that a code of an operator's stands for. A code is used once, and an account has " +
    "one starter balance, by code or by a wallet with a past. Using it twice changes nothing.",
  ...byKeyWithJson,
  request: { body: takes(useStarterCode) },
  responses: { 200: answers(named("StarterUsed", starterUsed), "What became of it."), ...problems },
});

const postCodes = createRoute({
  method: "post",
  path: "/admin/starter-codes",
  tags: ["Operations"],
  summary: "Make starter codes",
  description:
    "Codes for people whose wallets are too young for a starter balance, or who have none. What is granted by them counts " +
    "towards the day's budget as well. The same id, count and time give the same codes.",
  ...byAdminWithJson,
  request: { body: takes(makeStarterCodes) },
  responses: { 200: answers(named("StarterCodes", starterCodeList), "The codes."), ...problems },
});

export const starters = newApi();

starters.openapi(postStarter, async (c) => {
  const { key } = c.var;
  const { secretHash } = key;
  const account: AccountId = key.account;
  const may = await onAccount(c.env, account, (object) => object.check({ secretHash }, "manage"));
  if (!may.ok) return problem(c, may.refusal);
  const used = await grantByCode(c.env, c.req.valid("json").code, account);
  if (!used.ok) return problem(c, used.refusal);
  emit("starter_code_used", { account, starter: used.value, request_id: c.var.requestId });
  return c.json({ starter: used.value }, 200);
});

starters.openapi(postCodes, (c) => {
  const { id, count, expires_at } = c.req.valid("json");
  const expiresAt = Date.parse(expires_at);
  if (expiresAt <= Date.now()) {
    return problem(c, refuse("invalid_request", { detail: "expires_at: must be in the future.", param: "expires_at" }));
  }
  const codes = starterCodes(id, count, expiresAt, configOf(c.env).edgeKey);
  emit("starter_codes_made", { batch: id, count, operator: c.var.operator, request_id: c.var.requestId });
  return c.json({ codes, expires_at: timeText(Math.floor(expiresAt / 1_000) * 1_000) }, 200);
});
