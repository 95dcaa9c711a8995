import { createRoute } from "@hono/zod-openapi";
import type { Balance } from "../../core/account/balance.ts";
import { completionCapOf } from "../../core/account/hold.ts";
import { refuse } from "../../core/errors.ts";
import { LANE_TABLE } from "../../core/lanes.ts";
import { LIMITS } from "../../core/limits.ts";
import type { Parameters } from "../../core/parameters.ts";
import { perThousand, priceAtRate } from "../../core/pricing.ts";
import { formatCredits, GENESIS_PEG, type NanoUsd, sum, toMillicreditsCeil, toNanoUsdFloor } from "../../core/units.ts";
import { estimate as estimateShape } from "../../protocol/network/jobs.ts";
import { readJsonText } from "../body.ts";
import { configOf } from "../config.ts";
import { findModel } from "../gateway/catalog.ts";
import { type PreparedChat, parseChat, prepareChat } from "../gateway/prepare.ts";
import { problem } from "../http.ts";
import { onAccount } from "../objects.ts";
import { answers, byKey, named, newApi, problems } from "./app.ts";

const postEstimate = createRoute({
  method: "post",
  path: "/estimate",
  tags: ["Account"],
  summary: "What a job would cost",
  description:
    "Takes the body of `POST /v1/chat/completions` and says which lane it would take and what would be reserved for it now, " +
    "by the same rules. Nothing is reserved, queued or stored.",
  ...byKey,
  // A reference and not the schema itself: the body is read by the gateway's own parser, with its bounds.
  request: {
    body: { required: true, content: { "application/json": { schema: { $ref: "#/components/schemas/ChatRequest" } } } },
  },
  responses: { 200: answers(named("Estimate", estimateShape), "The estimate."), ...problems },
});

export const estimate = newApi();

estimate.openapi(postEstimate, async (c) => {
  const { account, secretHash } = c.var.key;
  const { parameters } = configOf(c.env);
  const text = await readJsonText(c.req.raw, LIMITS.requestBodyBytes);
  if (!text.ok) return problem(c, text.refusal);
  const request = parseChat(text.value);
  if (!request.ok) return problem(c, request.refusal);
  const model = await findModel(c.env, request.value.model, Date.now());
  if (model === undefined) return problem(c, refuse("model_not_found", { param: "model" }));
  const prepared = prepareChat(request.value, model, parameters);
  if (!prepared.ok) return problem(c, prepared.refusal);
  const balance = await onAccount(c.env, account, (object) => object.balance({ secretHash }));
  if (!balance.ok) return problem(c, balance.refusal);
  return c.json(estimateOf(prepared.value, balance.value, parameters), 200);
});

/** What `hold` would decide for a balance (core/account/hold.ts), and what an answer of the usual length comes to. */
function estimateOf(prepared: PreparedChat, balance: Balance, parameters: Parameters) {
  const { lane, model, rate, promptBound, choices } = prepared;
  const funding = balance.lots.filter(({ kind }) => LANE_TABLE[lane].funding.includes(kind));
  const budget = sum(funding.map(({ available }) => toNanoUsdFloor(available, GENESIS_PEG)));
  const cap = completionCapOf({ ...prepared, completionDefault: model.completion_default }, budget, parameters);
  const price = (each: number) => priceAtRate(rate, { prompt: promptBound, completion: each * choices });
  const credits = (amount: NanoUsd) => formatCredits(toMillicreditsCeil(amount, GENESIS_PEG));
  return {
    lane,
    prompt_tokens: promptBound,
    completion_tokens: cap * choices,
    hold: credits(price(cap)),
    expected: credits(price(Math.min(cap, model.completion_default))),
    per_1k: credits(perThousand(rate)),
  };
}
