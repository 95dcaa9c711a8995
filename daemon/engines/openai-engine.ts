/** Any engine that speaks OpenAI's dialect over HTTP: Ollama, vLLM, llama.cpp's server, LM Studio and others. */

import { createParser } from "eventsource-parser";
import { type Chunk, chunk, finishReasonOf, piecesOf, promptTokensOf } from "./chunk.ts";
import {
  type Engine,
  EngineError,
  type EngineEvent,
  type EngineModel,
  type EngineRequest,
  type FinishReason,
} from "./engine.ts";
import { engineRefusal, engineTrouble } from "./engine-failure.ts";
import { asker, authorization } from "./http.ts";
import type { EngineKind } from "./kinds/kind.ts";

export interface OpenAiEngineOptions {
  readonly url: string;
  readonly key: string | null;
  readonly kind: EngineKind;
  readonly label: string;
  readonly slots: number | null;
}

const LIST_MS = 10_000;
/** An event of a stream: the log probabilities of a long chunk, or a whole answer of an engine that does not stream. */
const MAX_EVENT_CHARACTERS = 8 * 1024 * 1024;
/** Of a refusal only its beginning is looked at. */
const MAX_REFUSAL_CHARACTERS = 64 * 1024;

export class OpenAiEngine implements Engine {
  readonly label: string;
  readonly slots: number | null;
  readonly countsExactly = false;
  readonly #options: OpenAiEngineOptions;

  constructor(options: OpenAiEngineOptions) {
    this.#options = options;
    this.label = `${options.label} at ${options.url}`;
    this.slots = options.slots;
  }

  async models(): Promise<readonly EngineModel[]> {
    const { url, key, kind } = this.#options;
    const models = await kind.models(asker(url, key, LIST_MS));
    if (models === null) throw new EngineError("engine_unreachable", `${this.label} does not list its models.`);
    return models;
  }

  async *generate(request: EngineRequest, signal: AbortSignal): AsyncGenerator<EngineEvent, void, void> {
    try {
      const response = await this.#post(request, signal);
      const type = response.headers.get("content-type") ?? "";
      const chunks = type.includes("text/event-stream") ? streamed(response) : whole(response);
      yield* new Reading(request.choices, this.#options.kind.progress === "usage").events(chunks);
    } catch (error) {
      throw engineTrouble(error);
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async #post(request: EngineRequest, signal: AbortSignal): Promise<Response> {
    const { url, key, kind } = this.#options;
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", ...authorization(key) },
      body: JSON.stringify({
        ...request.body,
        // Several engines know only the older name, and would answer without an end.
        max_tokens: request.completionCap,
        stream: true,
        stream_options: { include_usage: true, ...(kind.progress === "usage" ? { continuous_usage_stats: true } : {}) },
        ...(kind.progress === "timings" ? { timings_per_token: true } : {}),
      }),
      signal,
    });
    if (!response.ok) throw engineRefusal(response.status, (await response.text()).slice(0, MAX_REFUSAL_CHARACTERS));
    return response;
  }
}

/** What is known of an answer while its chunks come in. */
class Reading {
  readonly #choices: number;
  readonly #continuous: boolean;
  #counted = 0;
  #promptKnown = false;
  #usage: { prompt: number; completion: number } | null = null;
  readonly #finished = new Map<number, FinishReason>();

  constructor(choices: number, continuous: boolean) {
    this.#choices = choices;
    // With several choices the running count is sometimes of one choice and sometimes of all, so it is not used.
    this.#continuous = continuous && choices === 1;
  }

  async *events(chunks: AsyncIterable<Chunk>): AsyncGenerator<EngineEvent, void, void> {
    for await (const part of chunks) {
      yield* this.#prompt(part);
      const counted = this.#count(part);
      for (const choice of part.choices) {
        if (choice.finish_reason != null) this.#finished.set(choice.index, finishReasonOf(choice.finish_reason));
        if (choice.index < this.#choices) yield* piecesOf(choice, counted);
      }
    }
    const [some] = this.#finished.values();
    if (some === undefined) throw new EngineError("engine_error", "The engine's answer has no finish reason.");
    const finishReasons = Array.from({ length: this.#choices }, (_, choice) => this.#finished.get(choice) ?? some);
    yield { type: "end", finishReasons, usage: this.#usage };
  }

  *#prompt(part: Chunk): Generator<EngineEvent, void, void> {
    if (part.usage != null) {
      this.#usage = { prompt: part.usage.prompt_tokens, completion: part.usage.completion_tokens };
    }
    const tokens = promptTokensOf(part);
    if (this.#promptKnown || tokens === null) return;
    this.#promptKnown = true;
    yield { type: "prompt", tokens };
  }

  /** The tokens of this chunk by the running count, or null when there is none. */
  #count(part: Chunk): number | null {
    if (!this.#continuous || part.usage == null) return null;
    const tokens = Math.max(0, part.usage.completion_tokens - this.#counted);
    this.#counted += tokens;
    return tokens;
  }
}

/** The chunks of a server-sent stream. The body is read no faster than the chunks are taken. */
async function* streamed(response: Response): AsyncGenerator<Chunk, void, void> {
  const events: string[] = [];
  const parser = createParser({ onEvent: ({ data }) => events.push(data), maxBufferSize: MAX_EVENT_CHARACTERS });
  const decoder = new TextDecoder();
  for await (const bytes of response.body ?? []) {
    parser.feed(decoder.decode(bytes, { stream: true }));
    for (const data of events.splice(0)) {
      if (data === "[DONE]") return;
      yield readChunk(data);
    }
  }
}

async function* whole(response: Response): AsyncGenerator<Chunk, void, void> {
  yield readChunk(await response.text());
}

function readChunk(data: string): Chunk {
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    throw new EngineError("engine_error", "The engine sent a chunk that is not JSON.");
  }
  if (typeof value === "object" && value !== null && "error" in value && value.error != null) {
    throw engineRefusal(500, data);
  }
  const parsed = chunk.safeParse(value);
  if (!parsed.success) throw new EngineError("engine_error", "The engine sent a chunk that is not OpenAI's.");
  return parsed.data;
}
