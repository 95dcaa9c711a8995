/** What the daemon asks of whatever computes an answer. Engines differ behind this interface and nowhere else. */

import type { Quantization } from "../../core/pricing.ts";
import type { Done, Feature } from "../../protocol/daemon/messages.ts";
import type { StructuredDelta } from "../../protocol/openai/chat.ts";

export type FinishReason = Exclude<Done["finish_reason"], "cancelled">;

/** A model as its engine knows it. What the engine does not say is null. */
export interface EngineModel {
  readonly name: string;
  readonly context: number | null;
  readonly quantization: Quantization | null;
  readonly loaded: boolean;
  readonly features: readonly Feature[];
}

export interface EngineRequest {
  /** A body made by `engineRequest` of protocol/openai/chat.ts: the engine's model name, and the cap of completion tokens. */
  readonly body: Readonly<Record<string, unknown>>;
  readonly choices: number;
  /** Completion tokens that each choice may have. */
  readonly completionCap: number;
}

/** A stretch of an answer. `tokens` are the completion tokens it took; they may be 0, and may belong to empty text. */
export type EnginePiece =
  | { readonly type: "text"; readonly choice: number; readonly text: string; readonly tokens: number }
  | { readonly type: "structured"; readonly choice: number; readonly delta: StructuredDelta; readonly tokens: number };

export type EngineEvent =
  /** The prompt's tokens, as soon as the engine tells them. */
  | { readonly type: "prompt"; readonly tokens: number }
  | EnginePiece
  /** The last event, with a reason for each choice. `usage` is null when the engine counts nothing itself. */
  | {
      readonly type: "end";
      readonly finishReasons: readonly FinishReason[];
      readonly usage: { readonly prompt: number; readonly completion: number } | null;
    };

export interface Engine {
  /** Shown in offers and logs, such as "vLLM 0.11 at http://127.0.0.1:8000". */
  readonly label: string;
  /** Jobs that it serves at once, where it says so. */
  readonly slots: number | null;
  /** Whether the pieces' tokens always sum to the usage at the end, so that nothing has to be held back to correct them. */
  readonly countsExactly: boolean;
  /** What it can serve now. Throws an {@link EngineError}. */
  models(): Promise<readonly EngineModel[]>;
  /** Runs a request. Ends early when the signal aborts. Throws an {@link EngineError}. */
  generate(request: EngineRequest, signal: AbortSignal): AsyncIterable<EngineEvent>;
  close(): Promise<void>;
}

export type EngineErrorCode =
  | "context_length_exceeded"
  | "unsupported_parameter"
  | "invalid_request"
  | "engine_error"
  | "engine_unreachable";

/** Why an engine gave no answer. The message is in the daemon's own words: an engine's may quote the prompt. */
export class EngineError extends Error {
  override readonly name = "EngineError";
  readonly code: EngineErrorCode;

  constructor(code: EngineErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
