/**
 * The two forms in which a consumer gets its answer: a stream of OpenAI's chunks, or one JSON body. A job's stream writes
 * to either without knowing which.
 */

import type { Refusal } from "../../core/errors.ts";
import { RELAY_RESULT, type RelayRefusal } from "../../protocol/internal/job.ts";
import type { StructuredDelta, Usage } from "../../protocol/openai/chat.ts";

export interface AnswerSink {
  /** Called once, before the first delta or the end: a stream is given out here, with its body still growing. */
  begin(): void;
  text(choice: number, text: string): void;
  structured(choice: number, delta: StructuredDelta): void;
  /** The end of a good answer, with a reason for each choice. */
  finish(reasons: readonly string[], usage: Usage): void;
  /** The end of a bad one, after it had begun. */
  fail(refusal: Refusal): void;
  /** A sign of life while nothing happens. */
  comment(text: string): void;
  /** Ends without a word: the consumer takes nothing. */
  abort(): void;
  /** Bytes that the consumer has not taken yet. */
  readonly pendingBytes: number;
}

/** What a gateway is answered with instead of a stream. */
export function refusedJob(refusal: RelayRefusal): Response {
  return Response.json(refusal, { status: 409, headers: { [RELAY_RESULT]: "refused" } });
}
