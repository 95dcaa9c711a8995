/** An answer that is collected and given as one JSON body, for calls that do not stream. */

import { RELAY_RESULT } from "../../protocol/internal/job.ts";
import type { StructuredDelta, Usage } from "../../protocol/openai/chat.ts";
import type { StreamHead } from "../../protocol/openai/stream.ts";
import type { AnswerSink } from "./answer.ts";

interface ToolCall {
  id: string;
  type: "function";
  function: { name: string; arguments: string };
}

interface Choice {
  content: string | null;
  reasoning: string;
  refusal: string | null;
  readonly toolCalls: ToolCall[];
  readonly logprobs: unknown[];
}

export class CollectedAnswer implements AnswerSink {
  readonly #head: StreamHead;
  readonly #deliver: (response: Response) => void;
  readonly #choices: Choice[];

  constructor(head: StreamHead, deliver: (response: Response) => void) {
    this.#head = head;
    this.#deliver = deliver;
    this.#choices = Array.from({ length: head.choices }, () => ({
      content: null,
      reasoning: "",
      refusal: null,
      toolCalls: [],
      logprobs: [],
    }));
  }

  begin(): void {}

  /** What is collected counts as taken; the stream bounds it by the bytes that it relays. */
  readonly pendingBytes = 0;

  text(choice: number, text: string): void {
    const at = this.#at(choice);
    at.content = (at.content ?? "") + text;
  }

  structured(choice: number, { delta, logprobs }: StructuredDelta): void {
    const at = this.#at(choice);
    if (typeof delta?.content === "string") this.text(choice, delta.content);
    if (delta?.refusal !== undefined) at.refusal = (at.refusal ?? "") + delta.refusal;
    at.reasoning += delta?.reasoning_content ?? "";
    for (const call of delta?.tool_calls ?? []) {
      const known = (at.toolCalls[call.index] ??= { id: "", type: "function", function: { name: "", arguments: "" } });
      known.id += call.id ?? "";
      known.function.name += call.function?.name ?? "";
      known.function.arguments += call.function?.arguments ?? "";
    }
    at.logprobs.push(...(logprobs?.content ?? []));
  }

  #at(choice: number): Choice {
    const at = this.#choices[choice];
    if (at === undefined) throw new RangeError(`no choice ${choice}`);
    return at;
  }

  finish(reasons: readonly string[], usage: Usage): void {
    const { id, created, model } = this.#head;
    const choices = this.#choices.map(({ content, reasoning, refusal, toolCalls, logprobs }, index) => ({
      index,
      message: {
        role: "assistant",
        content: content ?? (toolCalls.length === 0 && refusal === null ? "" : null),
        refusal,
        ...(reasoning === "" ? {} : { reasoning_content: reasoning }),
        ...(toolCalls.length === 0 ? {} : { tool_calls: toolCalls.filter(Boolean) }),
      },
      logprobs: logprobs.length === 0 ? null : { content: logprobs },
      finish_reason: reasons[index],
    }));
    this.#deliver(
      Response.json(
        { id, object: "chat.completion", created, model, choices, usage },
        { headers: { [RELAY_RESULT]: "json" } },
      ),
    );
  }

  /** Nothing was given out yet, so the relay's refusal is the answer. */
  fail(): void {}

  comment(): void {}

  abort(): void {}
}
