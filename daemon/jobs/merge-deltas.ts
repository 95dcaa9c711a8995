/** Structured deltas of one choice that go in one frame. */

import type { StructuredDelta } from "../../protocol/openai/chat.ts";

type Delta = NonNullable<StructuredDelta["delta"]>;
type ToolCalls = NonNullable<Delta["tool_calls"]>;

/** One delta that says what the two say one after the other. */
export function mergeDeltas(a: StructuredDelta, b: StructuredDelta): StructuredDelta {
  const delta = both(a.delta, b.delta, mergeInner);
  const logprobs = both(a.logprobs ?? undefined, b.logprobs ?? undefined, (first, second) => ({
    content: [...first.content, ...second.content],
  }));
  return { ...(delta === undefined ? {} : { delta }), ...(logprobs === undefined ? {} : { logprobs }) };
}

function mergeInner(a: Delta, b: Delta): Delta {
  const content = both(a.content ?? undefined, b.content ?? undefined, concat);
  const reasoning = both(a.reasoning_content, b.reasoning_content, concat);
  const refusal = both(a.refusal, b.refusal, concat);
  const toolCalls = both(a.tool_calls, b.tool_calls, mergeToolCalls);
  return {
    ...(content === undefined ? {} : { content }),
    ...(reasoning === undefined ? {} : { reasoning_content: reasoning }),
    ...(refusal === undefined ? {} : { refusal }),
    ...(toolCalls === undefined ? {} : { tool_calls: toolCalls }),
  };
}

/** Calls are told apart by their index; the arguments of one call arrive in pieces. */
function mergeToolCalls(a: ToolCalls, b: ToolCalls): ToolCalls {
  const merged = new Map<number, ToolCalls[number]>();
  for (const call of [...a, ...b]) {
    const before = merged.get(call.index);
    const inner = both(before?.function, call.function, (first, second) => ({
      ...first,
      ...second,
      ...(first.arguments === undefined && second.arguments === undefined
        ? {}
        : { arguments: (first.arguments ?? "") + (second.arguments ?? "") }),
    }));
    merged.set(call.index, { ...before, ...call, ...(inner === undefined ? {} : { function: inner }) });
  }
  return [...merged.values()];
}

function both<T>(a: T | undefined, b: T | undefined, merge: (a: T, b: T) => T): T | undefined {
  if (a === undefined) return b;
  return b === undefined ? a : merge(a, b);
}

const concat = (a: string, b: string): string => a + b;
