/** The calls under /v1 as the reference describes them; workers/gateway/ answers them. */

import { type OpenAPIHono, z } from "@hono/zod-openapi";
import { LANES } from "../../core/lanes.ts";
import { LIMITS } from "../../core/limits.ts";
import { chatRequest } from "../../protocol/openai/chat.ts";
import { softStop } from "../../protocol/openai/soft-stop.ts";
import type { HttpEnv } from "../http.ts";
import { named } from "./app.ts";

type Registry = OpenAPIHono<HttpEnv>["openAPIRegistry"];

const usd = z.string().meta({ description: "USD per token, a decimal string.", example: "0.00000008" });

const model = z.object({
  id: z.string().meta({ example: "tiny-miller" }),
  object: z.literal("model"),
  created: z.int().meta({ description: "Seconds since 1970.", example: 1_796_000_000 }),
  owned_by: z.string().meta({ example: "tollmill" }),
  name: z.string().meta({ example: "Tiny Miller" }),
  context_length: z.int().meta({ example: 512 }),
  quantization: z.enum(["q4", "q8", "fp16"]),
  pricing: z.object({ prompt: usd, completion: usd, request: z.string().meta({ example: "0" }) }),
  lanes: z.array(z.enum(LANES)),
  supply: z
    .object({ daemons: z.int(), slots: z.int(), free: z.int(), tokens_per_second: z.number() })
    .meta({ description: "Who serves it at this moment." }),
  supported_parameters: z.array(z.string()).meta({ example: ["temperature", "stop"] }),
});

const usage = z.object({
  prompt_tokens: z.int(),
  completion_tokens: z.int(),
  total_tokens: z.int(),
  cost: z.string().meta({ description: "What was charged, in credits.", example: "0.320" }),
  cost_usd: z.string().meta({ description: "The same in USD.", example: "0.000000320" }),
  lane: z.enum(LANES).nullable().meta({ description: "Null on an own device (`route: self`), which is free." }),
  queue_ms: z.int().meta({ description: "How long the job waited.", example: 3 }),
  receipt: z.string().nullable().meta({
    description: "The job, whose receipt GET /api/v1/receipts/{job} has; null on an own device, which leaves none.",
  }),
});

const finishReason = z.enum(["stop", "length", "tool_calls", "content_filter", "error"]).nullable();

const completion = z.object({
  id: z.string(),
  object: z.literal("chat.completion"),
  created: z.int(),
  model: z.string(),
  choices: z.array(
    z.object({
      index: z.int(),
      message: z.object({
        role: z.literal("assistant"),
        content: z.string().nullable(),
        tool_calls: z.array(z.record(z.string(), z.unknown())).optional(),
      }),
      finish_reason: finishReason,
    }),
  ),
  usage,
});

const chunk = z.object({
  id: z.string(),
  object: z.literal("chat.completion.chunk"),
  created: z.int(),
  model: z.string(),
  choices: z.array(z.object({ index: z.int(), delta: z.record(z.string(), z.unknown()), finish_reason: finishReason })),
  usage: usage.nullish(),
});

const errorObject = z.object({
  message: z.string().meta({ description: "What happened, and what to do next." }),
  type: z.string().meta({ example: "invalid_request_error" }),
  param: z.string().nullable().meta({ example: "model" }),
  code: z.string().meta({ description: "Never renamed: programs match on it.", example: "model_not_found" }),
  metadata: z.record(z.string(), z.unknown()).optional(),
});

const openAiError = z.object({ error: errorObject });

const softStopError = z.object({
  error: errorObject.extend({
    type: z.literal("insufficient_quota"),
    code: z.enum(["insufficient_credits", "below_minimum_balance"]),
    metadata: softStop,
  }),
});

const idempotencyKey = z
  .string()
  .max(LIMITS.idempotencyKeyCharacters)
  .meta({
    description:
      "Printable ASCII characters. The key is remembered on the UTC day it was used on and the day after: the same key and body " +
      "are refused while the job runs (`in_progress`) and once it was charged (`already_completed`), and another body is " +
      "refused too (`idempotency_mismatch`). A key whose job was charged nothing may be used again.",
    example: "0d7c9b6e-3f1a-4c52-9d8e-2b7a6f5e4d3c",
  });

const paymentSignature = z
  .string()
  .max(LIMITS.x402HeaderCharacters)
  .meta({
    description:
      "A payment of x402 version 2 for what a 402 has offered: base64 of JSON, as x402's clients write it. It is final and " +
      "credited before the call goes on. The same payment is taken once, however often it comes.",
  });

const paymentHeader = (description: string) => ({ description, schema: { type: "string" as const } });

const EXAMPLE = { model: "tiny-miller", messages: [{ role: "user", content: "What is a receipt?" }], stream: true };

/** Adds the calls under /v1 to a registry. */
export function describeInference(registry: Registry): void {
  const request = named("ChatRequest", chatRequest);
  const problems = {
    default: {
      description: "OpenAI's error object.",
      content: { "application/json": { schema: named("OpenAiError", openAiError) } },
    },
  };
  const tags = ["Inference"];
  const oneModel = named("Model", model);
  registry.registerPath({
    tags,
    security: [{ apiKey: [] }],
    method: "post",
    path: "/v1/chat/completions",
    summary: "Ask a model",
    description:
      "OpenAI's call, streaming and not. `lane`, `network`, `provider` and `route` are Tollmill's own; `network` is " +
      "the id of a private network that the account is in, and the job then runs at that network's rate. The worst case is " +
      "reserved before the job is queued; what was used is charged, and the last chunk's `usage` (or the body's) says how much. " +
      "An `Idempotency-Key` keeps a repetition from being charged twice. With `route: self` the account's own daemons alone " +
      "answer, for free: nothing is reserved or charged, and there is no receipt.",
    request: {
      headers: z.object({
        "idempotency-key": idempotencyKey.optional(),
        "payment-signature": paymentSignature.optional(),
      }),
      body: { required: true, content: { "application/json": { schema: request, example: EXAMPLE } } },
    },
    responses: {
      200: {
        description: "The answer: one object, or with `stream` an event stream of chunks that ends with `[DONE]`.",
        headers: { "payment-response": paymentHeader("How the call's payment went (x402), where it came with one.") },
        content: {
          "application/json": { schema: named("ChatCompletion", completion) },
          "text/event-stream": { schema: named("ChatCompletionChunk", chunk) },
        },
      },
      402: {
        description:
          "The soft stop: the balance does not cover the request, and `metadata` has what a screen for it shows. A stream that " +
          "has begun carries the same error in its last event. A key whose own budget is spent gets `budget_exceeded`. A " +
          "payment that is refused, or not final yet, gets a code that begins with `payment_`.",
        headers: {
          "payment-required": paymentHeader("`metadata.x402` in base64, where the network takes payments with a call."),
          "payment-response": paymentHeader("Why the call's payment was not taken, or that it is under way."),
        },
        content: { "application/json": { schema: z.union([named("SoftStop", softStopError), openAiError]) } },
      },
      ...problems,
    },
  });
  registry.registerPath({
    tags,
    security: [],
    method: "get",
    path: "/v1/models",
    summary: "The models",
    description: "Every model of the catalog with its price, its lanes, and who serves it now.",
    responses: {
      200: {
        description: "The models.",
        content: { "application/json": { schema: z.object({ object: z.literal("list"), data: z.array(oneModel) }) } },
      },
      ...problems,
    },
  });
  registry.registerPath({
    tags,
    security: [],
    method: "get",
    path: "/v1/models/{id}",
    summary: "One model",
    description: "A model of the catalog. A slash in its id is written %2F.",
    request: { params: z.object({ id: z.string().meta({ example: "tiny-miller" }) }) },
    responses: {
      200: { description: "The model.", content: { "application/json": { schema: oneModel } } },
      ...problems,
    },
  });
}
