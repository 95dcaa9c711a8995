/** An engine that says what a test tells it to. */

import type { Engine, EngineEvent, EngineModel, EngineRequest } from "../../../daemon/engines/engine.ts";

type Script = (request: EngineRequest, signal: AbortSignal) => AsyncIterable<EngineEvent>;

export class ScriptedEngine implements Engine {
  readonly label = "scripted engine";
  readonly slots = null;
  countsExactly = true;
  /** Pieces that were taken from it. */
  given = 0;
  aborted = 0;
  list: EngineModel[] = [
    { name: "scripted", context: 2_048, quantization: "q8", loaded: true, features: ["temperature", "n"] },
  ];
  readonly requests: EngineRequest[] = [];
  script: Script;

  constructor(script: Script = answer("Hi!")) {
    this.script = script;
  }

  models(): Promise<readonly EngineModel[]> {
    return Promise.resolve(this.list);
  }

  async *generate(request: EngineRequest, signal: AbortSignal): AsyncGenerator<EngineEvent, void, void> {
    this.requests.push(request);
    signal.addEventListener("abort", () => (this.aborted += 1), { once: true });
    for await (const event of this.script(request, signal)) {
      this.given += 1;
      yield event;
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Says some pieces, a token each, and ends with a usage that is right, or with another one. */
export function answer(...pieces: readonly string[]): Script {
  return answerWithUsage({ prompt: 7, completion: pieces.length }, ...pieces);
}

export function answerWithUsage(
  usage: { prompt: number; completion: number } | null,
  ...pieces: readonly string[]
): Script {
  return async function* () {
    yield { type: "prompt", tokens: 7 };
    for (const text of pieces) {
      await Promise.resolve();
      yield { type: "text", choice: 0, text, tokens: 1 };
    }
    yield { type: "end", finishReasons: ["stop"], usage };
  };
}

/** Says a piece every so often, without an end. */
export function endless(everyMs: number, text = "word "): Script {
  return async function* (_request, signal) {
    yield { type: "prompt", tokens: 7 };
    while (!signal.aborted) {
      yield { type: "text", choice: 0, text, tokens: 1 };
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  };
}

/** Says some pieces and then waits until it is told to stop. */
export function stuckAfter(...pieces: readonly string[]): Script {
  return async function* (_request, signal) {
    yield { type: "prompt", tokens: 7 };
    for (const text of pieces) yield { type: "text", choice: 0, text, tokens: 1 };
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  };
}
