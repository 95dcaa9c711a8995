import { createRoute } from "@hono/zod-openapi";
import { askRate } from "../../core/auction/standing.ts";
import { refuse } from "../../core/errors.ts";
import { newJobId } from "../../core/ids.ts";
import { LANE_TABLE, type Lane } from "../../core/lanes.ts";
import { LIMITS } from "../../core/limits.ts";
import type { Parameters } from "../../core/parameters.ts";
import { perThousand, priceAtRate, type Rate } from "../../core/pricing.ts";
import { formatCredits, GENESIS_PEG, type Millicredits, type NanoUsd, toMillicreditsCeil } from "../../core/units.ts";
import type { EstimateResult } from "../../protocol/internal/account.ts";
import { estimate as estimateShape } from "../../protocol/network/jobs.ts";
import { shownSlots } from "../../protocol/network/shown-balance.ts";
import { readJsonText } from "../body.ts";
import { configOf } from "../config.ts";
import { leastAsk } from "../gateway/asks.ts";
import { findModel } from "../gateway/catalog.ts";
import { holdRequest } from "../gateway/hold-request.ts";
import { memberNetwork } from "../gateway/networks.ts";
import { type PreparedChat, parseChat, prepareChat } from "../gateway/prepare.ts";
import { problem } from "../http.ts";
import { onAccount } from "../objects.ts";
import { supplyOf } from "../regions.ts";
import { answers, byKey, named, newApi, problems } from "./app.ts";

const postEstimate = createRoute({
  method: "post",
  path: "/estimate",
  tags: ["Account"],
  summary: "What a job would cost",
  description:
    "Takes the body of `POST /v1/chat/completions` and says which lane it would take and what would be reserved for it now, " +
    "by the same rules: also the 429 where the stake behind an allotment carries no more jobs at once. With `route: self` it " +
    "costs nothing. Nothing is reserved, queued or stored.",
  ...byKey,
  // A reference and not the schema itself: the body is read by the gateway's own parser, with its bounds.
  request: {
    body: { required: true, content: { "application/json": { schema: { $ref: "#/components/schemas/ChatRequest" } } } },
  },
  responses: { 200: answers(named("Estimate", estimateShape), "The estimate."), ...problems },
});

const FREE: Rate = { completion: 0, prompt: 0, per: 1 };

export const estimate = newApi();

estimate.openapi(postEstimate, async (c) => {
  const config = configOf(c.env);
  const { parameters } = config;
  const text = await readJsonText(c.req.raw, LIMITS.requestBodyBytes);
  if (!text.ok) return problem(c, text.refusal);
  const request = parseChat(text.value);
  if (!request.ok) return problem(c, request.refusal);
  const now = Date.now();
  const model = await findModel(c.env, request.value.model, now);
  if (model === undefined) return problem(c, refuse("model_not_found", { param: "model" }));
  const member = await memberNetwork(c.env, request.value.network, c.var.key.account, now);
  const least = await leastAsk(c.env, c.executionCtx, config, model, now);
  const prepared = prepareChat(request.value, model, parameters, member, least);
  if (!prepared.ok) return problem(c, prepared.refusal);
  if (request.value.route === "self") {
    const { account, secretHash } = c.var.key;
    const admitted = await onAccount(c.env, account, (object) => object.check({ secretHash }, "inference"));
    return admitted.ok
      ? c.json(estimateOf(prepared.value, ownTerms(prepared.value), parameters, null), 200)
      : problem(c, admitted.refusal);
  }
  const hold = holdRequest(prepared.value, newJobId(now, new Uint8Array(10)), c.var.key, "", now, parameters);
  const result = await onAccount(c.env, c.var.key.account, (object) => object.estimate(hold));
  if (result.type === "refused") return problem(c, result.refusal);
  const isAuctioned = LANE_TABLE[result.lane].price === "ask";
  const lowest = isAuctioned ? (await supplyOf(c.env, config, model.id)).lowestAsk : null;
  return c.json(estimateOf(prepared.value, result, parameters, lowest), 200);
});

type Terms = Omit<Extract<EstimateResult, { type: "estimated" }>, "type" | "lane"> & { readonly lane: Lane | null };

/** An own device is in no lane, and free. */
function ownTerms({ wish: { completion }, model }: PreparedChat): Terms {
  const completionCap = completion ?? model.completion_default;
  return { lane: null, reserved: false, slots: null, completionCap, price: 0 as NanoUsd, stop: null };
}

/** What `hold` would decide, and what an answer of the usual length comes to: at a fixed rate, or at the lowest ask of now. */
function estimateOf(
  { model, wish: { rate }, promptBound, choices }: PreparedChat,
  { lane, reserved, slots, completionCap, price, stop }: Terms,
  parameters: Parameters,
  lowest: NanoUsd | null,
) {
  const credits = (amount: NanoUsd) => formatCredits(toMillicreditsCeil(amount, GENESIS_PEG));
  const rated = lane === null ? FREE : rate;
  // Where daemons ask, the lowest ask of now is what is likely; what is reserved covers the highest that may be paid.
  const expected = lowest === null ? rated : askRate(lowest, parameters);
  const usual = Math.min(completionCap, model.completion_default) * choices;
  return {
    lane,
    reserved,
    concurrency: slots && shownSlots(slots),
    prompt_tokens: promptBound,
    completion_tokens: completionCap * choices,
    hold: credits(price),
    expected: credits(priceAtRate(expected, { prompt: promptBound, completion: usual })),
    covered: stop === null,
    shortfall: formatCredits(stop?.shortfall ?? (0 as Millicredits)),
    per_1k: credits(perThousand(rated)),
    lowest_ask: lowest === null ? null : credits(lowest),
  };
}
