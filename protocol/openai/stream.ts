/** Streams of chat completion chunks: their headers, and the event that ends one which cannot be served to its end. */

import type { Refusal } from "../../core/errors.ts";
import { toOpenAiError } from "../errors.ts";

/** The headers of every stream. `no-transform` keeps whoever is in between from collecting events to compress them. */
export const STREAM_HEADERS = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache, no-transform",
} as const;

/** What every chunk of one stream carries. */
export interface StreamHead {
  readonly id: string;
  /** Seconds since 1970. */
  readonly created: number;
  readonly model: string;
  /** The request's `n`. */
  readonly choices: number;
}

/** The last events of a stream that failed: a chunk that ends every choice and says why, and the end. */
export function errorEvent({ id, created, model, choices }: StreamHead, refusal: Refusal): string {
  const chunk = {
    id,
    object: "chat.completion.chunk",
    created,
    model,
    choices: Array.from({ length: choices }, (_, index) => ({ index, delta: {}, finish_reason: "error" })),
    ...toOpenAiError(refusal),
  };
  return `data: ${JSON.stringify(chunk)}\n\ndata: [DONE]\n\n`;
}
