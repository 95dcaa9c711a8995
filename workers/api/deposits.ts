/** Money in: packages, and deposits in USDC on Solana (economics.md §10). */

import { createRoute, z } from "@hono/zod-openapi";
import type { Scope } from "../../core/account/scopes.ts";
import { type Refusal, refuse } from "../../core/errors.ts";
import { LIMITS } from "../../core/limits.ts";
import { PACKAGES } from "../../core/packages.ts";
import { getIntent, listIntents } from "../../db/deposit-intents.ts";
import { depositsOfIntents, depositsWithoutIntent } from "../../db/deposits.ts";
import { emit } from "../../durable-objects/shared/events.ts";
import type { ApiKey } from "../../protocol/api-key.ts";
import { idempotencyHeaders } from "../../protocol/network/common.ts";
import {
  askDeposit,
  depositIntentId,
  depositPage,
  depositQuery,
  deposit as depositShape,
  packageList,
  shownPackage,
} from "../../protocol/network/deposits.ts";
import { configOf } from "../config.ts";
import { askToPay, shownIntent, shownPayment } from "../deposits/intents.ts";
import { watchIntent } from "../deposits/watch.ts";
import { problem } from "../http.ts";
import { onAccount } from "../objects.ts";
import { answers, byAnyone, byKey, byKeyWithJson, named, newApi, problems, takes } from "./app.ts";
import { BAD_CURSOR, readPlace, writePlace } from "./time-cursor.ts";

const deposit = named("Deposit", depositShape);
const tags = ["Money"];

const getPackages = createRoute({
  method: "get",
  path: "/packages",
  tags,
  summary: "The packages on offer",
  description: "Usage that is paid for at once, with slots reserved for it. Its lane is `dedicated`.",
  ...byAnyone,
  responses: { 200: answers(named("Packages", packageList), "The packages."), ...problems },
});

const postDeposit = createRoute({
  method: "post",
  path: "/deposits",
  tags,
  summary: "Ask to pay",
  description:
    "Answers with a Solana Pay link for a top-up or a package, to be paid in USDC within a day. What arrives is credited when it is " +
    "final, by the amount that arrived: less than asked for or late it becomes a top-up, and so does what is over a " +
    "package's price. The same `id` never asks twice. The key needs the scope `manage`.",
  ...byKeyWithJson,
  request: { headers: idempotencyHeaders, body: takes(askDeposit) },
  responses: {
    200: answers(deposit, "It was asked for before."),
    201: answers(deposit, "The new deposit."),
    ...problems,
  },
});

const getDeposits = createRoute({
  method: "get",
  path: "/deposits",
  tags,
  summary: "Deposits",
  description: "What the account asked to pay and what arrived, newest first, each with its reason.",
  ...byKey,
  request: { query: depositQuery },
  responses: { 200: answers(depositPage.extend({ data: z.array(deposit) }), "A page of deposits."), ...problems },
});

const getOneDeposit = createRoute({
  method: "get",
  path: "/deposits/{id}",
  tags,
  summary: "A deposit",
  description:
    "What was asked for, and what arrived. While somebody asks, the network looks for it every second or two.",
  ...byKey,
  request: { params: z.object({ id: depositIntentId }) },
  responses: { 200: answers(deposit, "The deposit."), ...problems },
});

export const deposits = newApi();

deposits.openapi(getPackages, (c) => {
  const data = Object.values(PACKAGES).map(shownPackage);
  c.header("cache-control", "public, max-age=60");
  return c.json({ data }, 200);
});

deposits.openapi(postDeposit, async (c) => {
  const refusal = await deadKey(c.env, c.var.key, "manage");
  if (refusal !== null) return problem(c, refusal);
  const { solana } = configOf(c.env);
  if (solana === null) return problem(c, refuse("deposits_unavailable"));
  const { id, ...wish } = c.req.valid("json");
  const { account } = c.var.key;
  const now = Date.now();
  const header = c.req.valid("header")["idempotency-key"];
  const own = id ?? header;
  // What comes as a header has another form than an id that stands in paths.
  if (own !== undefined && !depositIntentId.safeParse(own).success) {
    const detail = "Idempotency-Key: must begin with a letter or a digit, as it becomes the deposit's id.";
    return problem(c, refuse("invalid_request", { detail, param: "id" }));
  }
  const asked = await askToPay(c.env.DB, account, own, wish, now);
  if (!asked.ok) return problem(c, asked.refusal);
  const { intent, added } = asked.value;
  const fields = { account, intent: intent.id, kind: intent.kind, micro_usdc: intent.micro_usdc };
  if (added) emit("deposit_asked", { ...fields, request_id: c.var.requestId });
  const payments = added ? [] : await depositsOfIntents(c.env.DB, account, [intent.id]);
  return c.json(shownIntent(intent, payments, solana, now), added ? 201 : 200);
});

deposits.openapi(getDeposits, async (c) => {
  const refusal = await deadKey(c.env, c.var.key, "read");
  if (refusal !== null) return problem(c, refusal);
  const { solana } = configOf(c.env);
  if (solana === null) return problem(c, refuse("deposits_unavailable"));
  const { cursor, limit = LIMITS.pageRows } = c.req.valid("query");
  const after = cursor === undefined ? undefined : readPlace(cursor);
  if (after === null) return problem(c, BAD_CURSOR);
  const { account } = c.var.key;
  const intents = await listIntents(c.env.DB, account, { limit, ...(after === undefined ? {} : { after }) });
  const ids = intents.map(({ id }) => id);
  const payments = Map.groupBy(await depositsOfIntents(c.env.DB, account, ids), ({ intent }) => intent);
  const unasked = after === undefined ? await depositsWithoutIntent(c.env.DB, account) : [];
  const oldest = intents.at(-1);
  const next =
    oldest === undefined || intents.length < limit ? null : writePlace({ at: oldest.created_at, id: oldest.id });
  const now = Date.now();
  const data = intents.map((intent) => shownIntent(intent, payments.get(intent.id) ?? [], solana, now));
  return c.json({ data, unasked: unasked.map(shownPayment), next }, 200);
});

deposits.openapi(getOneDeposit, async (c) => {
  const refusal = await deadKey(c.env, c.var.key, "read");
  if (refusal !== null) return problem(c, refusal);
  const { solana } = configOf(c.env);
  if (solana === null) return problem(c, refuse("deposits_unavailable"));
  const { account } = c.var.key;
  const intent = await getIntent(c.env.DB, account, c.req.valid("param").id);
  if (intent === null) return problem(c, refuse("deposit_not_found"));
  const payments = await depositsOfIntents(c.env.DB, account, [intent.id]);
  const now = Date.now();
  const shown = shownIntent(intent, payments, solana, now);
  // Whoever asks does not wait for a node; the next answer has what was found.
  if (shown.state !== "credited") c.executionCtx.waitUntil(watchIntent(c.env, intent, now));
  return c.json(shown, 200);
});

/** Why a key no longer counts, or null: D1 does not know keys, so the account is asked. */
async function deadKey(env: Env, { account, secretHash }: ApiKey, scope: Scope): Promise<Refusal | null> {
  const answer = await onAccount(env, account, (object) => object.check({ secretHash }, scope));
  return answer.ok ? null : answer.refusal;
}
