/**
 * Samples one token of a context at a time. After a batch llama.cpp puts its logits in order when the first of them is
 * read, and node-llama-cpp 3.21 reads those of several sequences from several threads at once: one of them then reads
 * the logits of another, and one answer in a hundred misses a word or has one twice.
 */

import type { LlamaContext } from "node-llama-cpp";

/** The native half of a context, as far as it is needed here. */
interface Native {
  sampleToken(...args: readonly unknown[]): Promise<unknown>;
}

const NATIVE = "_ctx";

/** Lets `context` wait for each sample before it takes the next. Throws where its native half looks different. */
export function sampleOneByOne(context: LlamaContext): void {
  const fields = context as unknown as Record<string, Partial<Native> | undefined>;
  const native = fields[NATIVE];
  if (typeof native?.sampleToken !== "function") throw new Error("This version of node-llama-cpp samples differently.");
  fields[NATIVE] = inTurn(native as Native);
}

/** `native` with samples that follow one another. Its methods are native too and know no other `this`. */
function inTurn(native: Native): Native {
  let last: Promise<unknown> = Promise.resolve();
  const sampleToken = (...args: readonly unknown[]): Promise<unknown> => {
    const next = last.then(() => native.sampleToken(...args));
    last = next.catch(() => undefined);
    return next;
  };
  const bound = new Map<PropertyKey, unknown>([["sampleToken", sampleToken]]);
  return new Proxy(native, {
    get(target, name) {
      const known = bound.get(name);
      if (known !== undefined) return known;
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      const method: unknown = value.bind(target);
      bound.set(name, method);
      return method;
    },
  });
}
