/** Reads the chunks of OpenAI's streaming dialect, as engines write it, into the daemon's events. */

import { z } from "zod";
import type { StructuredDelta } from "../../protocol/openai/chat.ts";
import type { EnginePiece, FinishReason } from "./engine.ts";

const delta = z.object({
  content: z.string().nullish(),
  reasoning_content: z.string().nullish(),
  /** The same under the name that newer engines use. */
  reasoning: z.string().nullish(),
  refusal: z.string().nullish(),
  tool_calls: z
    .array(
      z.object({
        index: z.int().min(0).max(127).optional(),
        id: z.string().nullish(),
        function: z.object({ name: z.string().nullish(), arguments: z.string().nullish() }).nullish(),
      }),
    )
    .nullish(),
});
const choice = z.object({
  index: z.int().min(0).default(0),
  delta: delta.optional(),
  /** Where an engine does not stream, the whole answer stands here. */
  message: delta.optional(),
  logprobs: z.object({ content: z.array(z.record(z.string(), z.unknown())).nullish() }).nullish(),
  finish_reason: z.string().nullish(),
});
const usage = z.object({ prompt_tokens: z.int().min(0), completion_tokens: z.int().min(0).default(0) });
/** llama.cpp's: the tokens that it read, and those that it knew from the request before. */
const timings = z.object({ prompt_n: z.int().min(0), cache_n: z.int().min(0) });

export const chunk = z.object({
  choices: z.array(choice).default([]),
  usage: usage.nullish(),
  // Other servers have timings of their own, and older ones do not tell what was cached: then nothing is known.
  timings: timings.optional().catch(undefined),
});
export type Chunk = z.infer<typeof chunk>;
type Choice = z.infer<typeof choice>;

/** The prompt's tokens where this chunk tells them, else null. */
export function promptTokensOf({ usage, timings }: Chunk): number | null {
  if (usage != null) return usage.prompt_tokens;
  return timings === undefined ? null : timings.prompt_n + timings.cache_n;
}

/** The pieces of a choice of one chunk. `counted` are its tokens where the engine counts as it goes. */
export function piecesOf(part: Choice, counted: number | null): EnginePiece[] {
  const source = part.delta ?? part.message ?? {};
  const structured = structuredOf(source);
  const text = source.content ?? "";
  const logprobs = part.logprobs?.content ?? null;
  const hasPayload = text !== "" || structured !== undefined;
  // Engines stream a token a chunk unless they say more: by a running count, or by one log probability for each token.
  const tokens = counted ?? (logprobs === null || logprobs.length === 0 ? Number(hasPayload) : logprobs.length);
  const pieces: EnginePiece[] = [];
  if (structured !== undefined) {
    pieces.push({
      type: "structured",
      choice: part.index,
      delta: { delta: structured },
      tokens: text === "" ? tokens : 0,
    });
  }
  if (text !== "" || (structured === undefined && tokens > 0)) {
    pieces.push({ type: "text", choice: part.index, text, tokens });
  }
  if (logprobs !== null && logprobs.length > 0) {
    pieces.push({ type: "structured", choice: part.index, delta: { logprobs: { content: logprobs } }, tokens: 0 });
  }
  return pieces;
}

function structuredOf(source: z.infer<typeof delta>): StructuredDelta["delta"] {
  const reasoning = source.reasoning_content ?? source.reasoning ?? "";
  const toolCalls = (source.tool_calls ?? []).map(({ index, id, function: called }, position) => ({
    index: index ?? position,
    ...(id == null ? {} : { id, type: "function" as const }),
    ...(called == null
      ? {}
      : {
          function: {
            ...(called.name == null ? {} : { name: called.name }),
            ...(called.arguments == null ? {} : { arguments: called.arguments }),
          },
        }),
  }));
  const result = {
    ...(reasoning === "" ? {} : { reasoning_content: reasoning }),
    ...(source.refusal ? { refusal: source.refusal } : {}),
    ...(toolCalls.length === 0 ? {} : { tool_calls: toolCalls }),
  };
  return Object.keys(result).length === 0 ? undefined : result;
}

/** An engine's finish reason in the protocol's words; a name of its own counts as a plain stop. */
export function finishReasonOf(name: string): FinishReason {
  if (name === "length" || name === "tool_calls" || name === "content_filter") return name;
  return name === "function_call" ? "tool_calls" : "stop";
}
