import { createRoute } from "@hono/zod-openapi";
import type { Millicredits } from "../../core/units.ts";
import { balance as balanceShape } from "../../protocol/network/account.ts";
import { shownBalance } from "../../protocol/network/shown-balance.ts";
import { configOf } from "../config.ts";
import { problem } from "../http.ts";
import { onAccount } from "../objects.ts";
import { answers, byKey, named, newApi, problems } from "./app.ts";

const getBalance = createRoute({
  method: "get",
  path: "/balance",
  tags: ["Account"],
  summary: "What the account has",
  description:
    "The balance in credits at today's peg, lot by lot, and what open jobs have reserved of it; and how many jobs may run at " +
    "once on packages and on the allotment.",
  ...byKey,
  responses: { 200: answers(named("Balance", balanceShape), "The balance."), ...problems },
});

export const balance = newApi();

balance.openapi(getBalance, async (c) => {
  const { account, secretHash } = c.var.key;
  const answer = await onAccount(c.env, account, (object) => object.balance({ secretHash }));
  if (!answer.ok) return problem(c, answer.refusal);
  const minimum = configOf(c.env).parameters.minimumBalanceMillicredits as Millicredits;
  return c.json(shownBalance(answer.value, minimum), 200);
});
