/** A kind of engine that listens on a port: how it is told from any other server, and how it lists its models. */

import { z } from "zod";
import type { Feature } from "../../../protocol/daemon/messages.ts";
import type { EngineModel } from "../engine.ts";
import type { Ask } from "../http.ts";

export interface Identified {
  /** Such as "Ollama 0.12.3". */
  readonly label: string;
  readonly slots: number | null;
}

export interface EngineKind {
  readonly name: string;
  /** Where it listens unless it was told otherwise. */
  readonly port: number | null;
  /**
   * What it tells in every chunk when asked to: OpenAI's usage, or llama.cpp's timings, which have the prompt's tokens.
   * Null for an engine that tells them in the last chunk alone, so that whoever stops it before never learns them.
   */
  readonly progress: "usage" | "timings" | null;
  /** Null when the server is not of this kind. */
  identify(ask: Ask): Promise<Identified | null>;
  /** Null when the server does not answer. */
  models(ask: Ask): Promise<EngineModel[] | null>;
}

/** What every engine with OpenAI's dialect understands. */
export const COMMON_FEATURES: readonly Feature[] = [
  "frequency_penalty",
  "presence_penalty",
  "seed",
  "stop",
  "temperature",
  "top_p",
];

/** OpenAI's list of models, with what some engines add. */
export const modelList = z.object({
  object: z.literal("list"),
  data: z.array(z.object({ id: z.string(), owned_by: z.string().optional(), max_model_len: z.number().nullish() })),
});
