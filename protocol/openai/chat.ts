/** Chat completions as OpenAI defines them, with Tollmill's additions (interfaces.md §1). */

import { z } from "zod";
import { LANES } from "../../core/lanes.ts";
import { LIMITS } from "../../core/limits.ts";
import type { Feature } from "../daemon/messages.ts";

const textPart = z.object({ type: z.literal("text"), text: z.string() });
const imagePart = z.object({
  type: z.literal("image_url"),
  image_url: z.object({
    url: z.string().regex(/^data:image\/[a-z+.-]+;base64,/, "must be a data URL of an image (data:image/…;base64,…)"),
    detail: z.enum(["auto", "low", "high"]).optional(),
  }),
});
const content = z.union([z.string(), z.array(textPart).min(1)]);
const toolCall = z.object({
  id: z.string(),
  type: z.literal("function"),
  function: z.object({ name: z.string(), arguments: z.string() }),
});

const message = z.discriminatedUnion("role", [
  z.object({ role: z.literal("system"), content, name: z.string().optional() }),
  z.object({ role: z.literal("developer"), content, name: z.string().optional() }),
  z.object({
    role: z.literal("user"),
    content: z.union([z.string(), z.array(z.discriminatedUnion("type", [textPart, imagePart])).min(1)]),
    name: z.string().optional(),
  }),
  z.object({
    role: z.literal("assistant"),
    content: content.nullish(),
    name: z.string().optional(),
    refusal: z.string().nullish(),
    tool_calls: z.array(toolCall).min(1).optional(),
  }),
  z.object({ role: z.literal("tool"), content, tool_call_id: z.string() }),
]);

const tool = z.object({
  type: z.literal("function"),
  function: z.object({
    name: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, "must be 1 to 64 characters of A-Z a-z 0-9 _ -"),
    description: z.string().optional(),
    parameters: z.record(z.string(), z.unknown()).optional(),
    strict: z.boolean().nullish(),
  }),
});

const responseFormat = z.discriminatedUnion("type", [
  z.object({ type: z.literal("text") }),
  z.object({ type: z.literal("json_object") }),
  z.object({
    type: z.literal("json_schema"),
    json_schema: z.object({
      name: z.string(),
      description: z.string().optional(),
      schema: z.record(z.string(), z.unknown()).optional(),
      strict: z.boolean().nullish(),
    }),
  }),
]);

const most = (limit: number) => z.int().min(1).max(limit);

/** Where a job may be served; what the market cannot do yet is refused by name, not ignored. */
const providerPreferences = z.strictObject({
  only: z.array(z.string()).min(1).max(64).optional(),
  ignore: z.array(z.string()).min(1).max(64).optional(),
  max_price: z.string().optional(),
  quantizations: z
    .array(z.enum(["q4", "q8", "fp16"]))
    .min(1)
    .optional(),
  allow_fallbacks: z.boolean().optional(),
});

/** A request body. Unknown top-level parameters are refused: an ignored parameter is a wrong answer that looks right. */
export const chatRequest = z.strictObject({
  model: z.string().min(1).max(128),
  messages: z.array(message).min(1).max(LIMITS.messages),
  stream: z.boolean().nullish(),
  stream_options: z
    .object({ include_usage: z.boolean().nullish(), include_obfuscation: z.boolean().nullish() })
    .nullish(),
  max_completion_tokens: most(10_000_000).nullish(),
  max_tokens: most(10_000_000).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  n: most(LIMITS.choices).nullish(),
  seed: z.int().nullish(),
  stop: z.union([z.string().min(1), z.array(z.string().min(1)).min(1).max(LIMITS.stopSequences)]).nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(20).nullish(),
  tools: z.array(tool).min(1).max(128).optional(),
  tool_choice: z
    .union([
      z.enum(["none", "auto", "required"]),
      z.object({ type: z.literal("function"), function: z.object({ name: z.string() }) }),
    ])
    .optional(),
  parallel_tool_calls: z.boolean().optional(),
  response_format: responseFormat.optional(),
  user: z.string().max(512).nullish(),
  metadata: z.record(z.string(), z.string()).nullish(),
  store: z.boolean().nullish(),
  service_tier: z.string().nullish(),
  safety_identifier: z.string().nullish(),
  prompt_cache_key: z.string().nullish(),
  // Tollmill's own.
  lane: z.enum(LANES).optional(),
  network: z.string().max(64).optional(),
  /** Lets paid credits be spent although the account has an allotment (economics.md §3). */
  allow_paid: z.boolean().optional(),
  provider: providerPreferences.optional(),
  route: z.literal("self").optional(),
});
export type ChatRequest = z.infer<typeof chatRequest>;

/** The features of an engine that a request needs, each with the parameter that asks for it. */
export function neededFeatures(request: ChatRequest): { feature: Feature; param: string }[] {
  const needs: { feature: Feature; param: string }[] = [];
  const need = (condition: boolean, feature: Feature, param: string = feature): void => {
    if (condition) needs.push({ feature, param });
  };
  need((request.n ?? 1) > 1, "n");
  need(request.seed != null, "seed");
  need(request.stop != null, "stop");
  need(request.temperature != null, "temperature");
  need(request.top_p != null, "top_p");
  need((request.frequency_penalty ?? 0) !== 0, "frequency_penalty");
  need((request.presence_penalty ?? 0) !== 0, "presence_penalty");
  need(request.logprobs === true, "logprobs");
  need((request.top_logprobs ?? 0) > 0, "top_logprobs");
  need(request.tools !== undefined, "tools");
  need(request.response_format?.type === "json_object", "json_object", "response_format");
  need(request.response_format?.type === "json_schema", "json_schema", "response_format");
  const image = request.messages.findIndex(
    ({ content }) => Array.isArray(content) && content.some(({ type }) => type === "image_url"),
  );
  need(image >= 0, "image_input", `messages[${image}].content`);
  return needs;
}

/** The body that a daemon gives to its engine: only what an engine understands, with the completion cap fixed. */
export function engineRequest(
  request: ChatRequest,
  engineModel: string,
  completionCap: number,
): Record<string, unknown> {
  const {
    stream: _stream,
    stream_options: _options,
    max_tokens: _maxTokens,
    user: _user,
    metadata: _metadata,
    store: _store,
    service_tier: _tier,
    safety_identifier: _identifier,
    prompt_cache_key: _cacheKey,
    lane: _lane,
    network: _network,
    allow_paid: _allowPaid,
    provider: _provider,
    route: _route,
    ...rest
  } = request;
  return Object.fromEntries(
    Object.entries({ ...rest, model: engineModel, max_completion_tokens: completionCap }).filter(
      ([, value]) => value !== null && value !== undefined,
    ),
  );
}

/** Tollmill's additions to OpenAI's usage object; `cost` is in credits, both are decimal strings. */
export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly cost: string;
  readonly cost_usd: string;
  /** Null on an own device, which costs nothing. */
  readonly lane: string | null;
  readonly queue_ms: number;
  /** The job, whose receipt GET /api/v1/receipts/{job} has; null on an own device, which leaves none. */
  readonly receipt: string | null;
}

/** A structured delta: the payload of a frame of kind 1, merged into its choice of the chunk. */
export const structuredDelta = z.strictObject({
  delta: z
    .strictObject({
      content: z.string().nullable().optional(),
      reasoning_content: z.string().optional(),
      refusal: z.string().optional(),
      tool_calls: z
        .array(
          z.strictObject({
            index: z.int().min(0).max(127),
            id: z.string().optional(),
            type: z.literal("function").optional(),
            function: z.strictObject({ name: z.string().optional(), arguments: z.string().optional() }).optional(),
          }),
        )
        .optional(),
    })
    .optional(),
  logprobs: z
    .object({ content: z.array(z.record(z.string(), z.unknown())) })
    .nullable()
    .optional(),
});
export type StructuredDelta = z.infer<typeof structuredDelta>;
