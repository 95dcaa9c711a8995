/** The sequences of a context, lent out one at a time, to whoever has waited longest. */

import type { LlamaContextSequence } from "node-llama-cpp";

export class SequencePool {
  readonly #free: LlamaContextSequence[];
  readonly #waiting: ((sequence: LlamaContextSequence) => void)[] = [];

  constructor(sequences: readonly LlamaContextSequence[]) {
    this.#free = [...sequences];
  }

  async take(): Promise<LlamaContextSequence> {
    const sequence =
      this.#free.pop() ?? (await new Promise<LlamaContextSequence>((resolve) => this.#waiting.push(resolve)));
    return sequence;
  }

  give(sequence: LlamaContextSequence): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(sequence);
    else next(sequence);
  }
}
