/** Measures how fast an engine generates and reads, by two short requests. */

import { type Engine, EngineError, type EngineRequest } from "./engine.ts";
import type { Speed } from "./served-models.ts";

const MEASURE_TOKENS = 48;
const MEASURE_MS = 120_000;
/** Long enough to be more than the call itself, short enough for a context of 512. */
const LONG_PROMPT = "Count on: ".concat(Array.from({ length: 60 }, (_, index) => `${index},`).join(" "));

interface Timing {
  readonly prompt: number | null;
  readonly completion: number;
  readonly firstMs: number;
  readonly lastMs: number;
}

/** The speeds of one model, or null when it gave no token. Throws an {@link EngineError} when it cannot run at all. */
export async function measureSpeed(engine: Engine, model: string, now: () => number): Promise<Speed | null> {
  const story = await time(engine, requestFor(model, "Tell a short story about a mill.", MEASURE_TOKENS), now);
  if (story === null) return null;
  const long = await time(engine, requestFor(model, LONG_PROMPT, 1), now);
  const between = story.lastMs - story.firstMs;
  // The first token's time is the prompt's; a single token has no other.
  const decode =
    between > 0 && story.completion > 1 ? (story.completion - 1) / between : story.completion / story.lastMs;
  const prefill = long?.prompt == null || long.firstMs <= 0 ? null : long.prompt / long.firstMs;
  return { decode: perSecond(decode), prefill: prefill === null ? null : perSecond(prefill) };
}

function requestFor(model: string, content: string, completionCap: number): EngineRequest {
  const messages = [{ role: "user", content }];
  return { body: { model, messages, temperature: 0, max_completion_tokens: completionCap }, choices: 1, completionCap };
}

async function time(engine: Engine, request: EngineRequest, now: () => number): Promise<Timing | null> {
  const started = now();
  let prompt: number | null = null;
  let completion = 0;
  let first: number | null = null;
  let last = started;
  try {
    for await (const event of engine.generate(request, AbortSignal.timeout(MEASURE_MS))) {
      if (event.type === "prompt") prompt = event.tokens;
      else if (event.type === "end") {
        prompt = event.usage?.prompt ?? prompt;
        completion = event.usage?.completion ?? completion;
      } else {
        completion += event.tokens;
        last = now();
        first ??= last;
      }
    }
  } catch (error) {
    if (error instanceof EngineError && error.code === "engine_unreachable") throw error;
    // A prompt that is too long, or a parameter it does not know: that is no speed, but no reason to give up either.
    return null;
  }
  if (first === null || completion === 0) return null;
  // A clock of whole milliseconds may show none at all.
  return { prompt, completion, firstMs: Math.max(first - started, 0.1), lastMs: Math.max(last - started, 0.1) };
}

/** Tokens a millisecond as tokens a second, rounded to what a measurement can tell. */
function perSecond(perMs: number): number {
  return Math.min(1_000_000, Math.max(0.01, Number((perMs * 1_000).toPrecision(4))));
}
