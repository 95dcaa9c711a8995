/** The one pure step between a request's body and a job: its bounds, its rate, and what it needs. Its account picks the lane. */

import type { LaneWish } from "../../core/account/lane-choice.ts";
import { type Refusal, refuse } from "../../core/errors.ts";
import type { NetworkId } from "../../core/ids.ts";
import { WHOLE } from "../../core/lanes.ts";
import type { Parameters } from "../../core/parameters.ts";
import { perThousand } from "../../core/pricing.ts";
import { utf8ToBytes } from "../../core/receipt/canonical.ts";
import { mulDivFloor, type NanoUsd, parseUsd } from "../../core/units.ts";
import type { CatalogModel } from "../../protocol/catalog.ts";
import { refuseIssues } from "../../protocol/errors.ts";
import type { Needs } from "../../protocol/internal/job.ts";
import { type ChatRequest, chatRequest, neededFeatures } from "../../protocol/openai/chat.ts";
import { type MemberNetwork, marketOf } from "./networks.ts";

export interface PreparedChat {
  readonly request: ChatRequest;
  readonly model: CatalogModel;
  readonly wish: LaneWish;
  /** The private network whose daemons alone may serve it, or null. */
  readonly network: NetworkId | null;
  /** The most that the request names, in nanoUSD for 1,000 completion tokens; null where it names nothing. */
  readonly maxPrice: NanoUsd | null;
  readonly promptBound: number;
  readonly choices: number;
  /** All but the context, which depends on what the balance affords. */
  readonly needs: Omit<Needs, "context">;
}

export type Result<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly refusal: Refusal };

const refused = (refusal: Refusal): { ok: false; refusal: Refusal } => ({ ok: false, refusal });

/** Reads a chat completion's body. The refusal names the parameter that is at fault, never its value. */
export function parseChat(text: string): Result<ChatRequest> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return refused(refuse("invalid_json"));
  }
  const parsed = chatRequest.safeParse(value);
  return parsed.success ? { ok: true, value: parsed.data } : refused(refuseIssues(parsed.error));
}

/**
 * Makes a job of a chat request for a model of the catalog (economics.md §§2, 3, 4, 6). `member` is the private network that
 * the request names, where its account is in it. `least` is what the pool's cheapest floor asks, in nanoUSD for 1,000
 * completion tokens: a job that names no maximum pays it where the catalog's rate does not pay anybody's power.
 */
export function prepareChat(
  request: ChatRequest,
  model: CatalogModel,
  parameters: Parameters,
  member: MemberNetwork | null,
  least: NanoUsd | null,
): Result<PreparedChat> {
  const named = request.lane !== undefined ? "lane" : "network";
  if (request.route === "self" && request[named] !== undefined) {
    const detail = `An own device is in no lane: leave out ${named} or route.`;
    return refused(refuse("invalid_request", { detail, param: named }));
  }
  const market = marketOf(request, model, parameters, member);
  if (!market.ok) return market;
  const { lane, lanes, rate, network } = market.value;
  const most = maxPrice(request);
  if (!most.ok) return most;
  const catalogPrice = perThousand(rate);
  const completion = request.max_completion_tokens ?? request.max_tokens ?? null;
  if (completion !== null && completion > model.completion_max) {
    const param = request.max_completion_tokens == null ? "max_tokens" : "max_completion_tokens";
    const detail = `${model.id} completes at most ${model.completion_max} tokens.`;
    return refused(refuse("invalid_request", { detail, param }));
  }
  return {
    ok: true,
    value: {
      request,
      model,
      wish: {
        lane,
        lanes,
        rate,
        mostBasisPoints:
          most.value === null || catalogPrice === 0 ? null : mulDivFloor(most.value, WHOLE, catalogPrice),
        maxAsk: most.value ?? (Math.max(catalogPrice, least ?? 0) as NanoUsd),
        completion,
        choosesProvider: request.provider?.only !== undefined || request.provider?.ignore !== undefined,
        allowPaid: request.allow_paid === true,
      },
      network,
      maxPrice: most.value,
      promptBound: promptBound(request, model),
      choices: request.n ?? 1,
      needs: needsOf(request),
    },
  };
}

/** The request's maximum price in nanoUSD for 1,000 completion tokens; null where it names none. */
function maxPrice(request: ChatRequest): Result<NanoUsd | null> {
  const text = request.provider?.max_price;
  if (text === undefined) return { ok: true, value: null };
  const param = "provider.max_price";
  const most = parseUsd(text);
  if (most === null || most < 0) {
    const detail = 'provider.max_price must be USD per 1,000 completion tokens as a decimal string, e.g. "0.00008".';
    return refused(refuse("invalid_request", { detail, param }));
  }
  return { ok: true, value: most };
}

function needsOf(request: ChatRequest): PreparedChat["needs"] {
  const { only, ignore, quantizations } = request.provider ?? {};
  return {
    features: neededFeatures(request),
    quantizations: quantizations ?? null,
    only: only ?? null,
    ignore: ignore ?? [],
  };
}

/**
 * The most prompt tokens that a request can have, by the catalog's rule: its bytes at the least bytes a token has, the
 * template's tokens for each message (and for the answer's opening), a fixed number for each image; and never more than
 * fits the context.
 */
export function promptBound(request: ChatRequest, model: CatalogModel): number {
  let bytes = 0;
  let images = 0;
  for (const message of request.messages) {
    for (const part of contentParts(message.content)) {
      if (part.type === "text") bytes += utf8ToBytes(part.text).length;
      else images += 1;
    }
    if ("tool_calls" in message && message.tool_calls) bytes += jsonBytes(message.tool_calls);
    if ("name" in message && message.name) bytes += utf8ToBytes(message.name).length;
    if ("refusal" in message && message.refusal) bytes += utf8ToBytes(message.refusal).length;
    if ("tool_call_id" in message) bytes += utf8ToBytes(message.tool_call_id).length;
  }
  if (request.tools) bytes += jsonBytes(request.tools);
  if (request.response_format) bytes += jsonBytes(request.response_format);
  const tokens =
    Math.ceil((bytes * 100) / model.prompt_bytes_per_token_hundredths) +
    model.prompt_tokens_per_message * (request.messages.length + 1) +
    model.prompt_tokens_per_image * images;
  return Math.min(tokens, model.context_length);
}

type Content = ChatRequest["messages"][number]["content"];
type Part = { readonly type: "text"; readonly text: string } | { readonly type: "image_url" };

function contentParts(content: Content): readonly Part[] {
  if (content === null || content === undefined) return [];
  return typeof content === "string" ? [{ type: "text", text: content }] : content;
}

function jsonBytes(value: unknown): number {
  return utf8ToBytes(JSON.stringify(value)).length;
}
