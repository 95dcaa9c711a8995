/** One choice of an answer: samples tokens and turns them into text, log probabilities and a reason to end. */

import type { LlamaContextSequence, LlamaModel, Token } from "node-llama-cpp";
import type { EnginePiece, FinishReason } from "../engine.ts";
import type { Prompt } from "./prompt.ts";
import { StopFilter } from "./stop-filter.ts";

export interface Sampling {
  readonly temperature: number;
  readonly topP: number;
  readonly topK: number;
  readonly seed: number;
  readonly stops: readonly string[];
  /** Candidates to list for each token; null for no log probabilities at all. */
  readonly topLogprobs: number | null;
  readonly most: number;
}

type Entry = Record<string, unknown>;

/** Tokens of text that precede the ones to write: spaces depend on what came before. */
const CONTEXT_TOKENS = 16;
/** A code point is at most four bytes; what is still broken after so many byte tokens stays so. */
const BROKEN_TOKENS = 4;
/** What OpenAI writes for a probability too small to say. */
const LEAST_LOGPROB = -9_999;

/**
 * Generates one choice. The tokens of its pieces are exactly those whose text is in the pieces: a stop sequence and the
 * token that ends the turn are not counted. Returns why it ended.
 */
export async function* generateChoice(
  choice: number,
  sequence: LlamaContextSequence,
  prompt: Prompt,
  sampling: Sampling,
  signal: AbortSignal,
): AsyncGenerator<EnginePiece, FinishReason, void> {
  const { temperature, topP, topK, seed, most, topLogprobs } = sampling;
  const writer = new Writer(choice, sequence.model, new StopFilter(sampling.stops));
  const metadata = { confidence: topLogprobs !== null, probabilities: (topLogprobs ?? 0) > 0 };
  let sampled = 0;
  let finish: FinishReason = "stop";
  for await (const next of sequence.evaluateWithMetadata(prompt.tokens, metadata, {
    temperature,
    topP,
    topK,
    seed,
    minP: 0,
  })) {
    if (signal.aborted || prompt.stops.has(next.token)) break;
    sampled += 1;
    const entry = topLogprobs === null ? null : logprob(sequence.model, next, topLogprobs);
    yield* writer.push(next.token, entry);
    if (writer.stopped) break;
    if (sampled >= most) {
      finish = "length";
      break;
    }
  }
  if (!writer.stopped) yield* writer.rest();
  return finish;
}

/** Collects tokens until they are text that may go out. */
class Writer {
  readonly #choice: number;
  readonly #model: LlamaModel;
  readonly #filter: StopFilter;
  readonly #written: Token[] = [];
  #broken: Token[] = [];
  #tokens = 0;
  #entries: Entry[] = [];
  stopped = false;

  constructor(choice: number, model: LlamaModel, filter: StopFilter) {
    this.#choice = choice;
    this.#model = model;
    this.#filter = filter;
  }

  *push(token: Token, entry: Entry | null): Generator<EnginePiece, void, void> {
    this.#broken.push(token);
    this.#tokens += 1;
    if (entry !== null) this.#entries.push(entry);
    const text = this.#model.detokenize(this.#broken, false, this.#written.slice(-CONTEXT_TOKENS));
    // U+FFFD at the end is a code point whose other bytes are in the tokens to come.
    if (text.endsWith("\ufffd") && this.#broken.length < BROKEN_TOKENS) return;
    this.#written.push(...this.#broken);
    this.#broken = [];
    const { text: free, stopped } = this.#filter.push(text);
    this.stopped = stopped;
    yield* this.#emit(free);
  }

  *rest(): Generator<EnginePiece, void, void> {
    const text = this.#model.detokenize(this.#broken, false, this.#written.slice(-CONTEXT_TOKENS));
    yield* this.#emit(this.#filter.push(text).text + this.#filter.rest());
  }

  *#emit(text: string): Generator<EnginePiece, void, void> {
    if (text === "") return;
    yield { type: "text", choice: this.#choice, text, tokens: this.#tokens };
    if (this.#entries.length > 0) {
      yield { type: "structured", choice: this.#choice, delta: { logprobs: { content: this.#entries } }, tokens: 0 };
    }
    this.#tokens = 0;
    this.#entries = [];
  }
}

interface Sampled {
  readonly token: Token;
  readonly confidence?: number;
  readonly probabilities?: Map<Token, number>;
}

function logprob(model: LlamaModel, next: Sampled, top: number): Entry {
  const candidates = [...(next.probabilities ?? [])].slice(0, top);
  return {
    ...candidate(model, next.token, next.confidence ?? 0),
    top_logprobs: candidates.map(([token, probability]) => candidate(model, token, probability)),
  };
}

function candidate(model: LlamaModel, token: Token, probability: number): Entry {
  const text = model.detokenize([token], true);
  const bytes = [...new TextEncoder().encode(text)];
  return {
    token: text,
    logprob: probability > 0 ? Math.max(Math.log(probability), LEAST_LOGPROB) : LEAST_LOGPROB,
    bytes,
  };
}
