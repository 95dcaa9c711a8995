/** Renders a chat with the template that stands in the GGUF file itself, and nothing in front of it. */

import type { ChatHistoryItem, ChatWrapper, LlamaModel, Token } from "node-llama-cpp";
import type { ChatRequest } from "../../../protocol/openai/chat.ts";
import { EngineError } from "../engine.ts";

export interface Prompt {
  readonly tokens: Token[];
  /** Single tokens that end a turn in this template, beside those that the file marks as an end. */
  readonly stops: ReadonlySet<Token>;
}

/** Throws an {@link EngineError} for what the template cannot say. */
export function renderPrompt(messages: ChatRequest["messages"], wrapper: ChatWrapper, model: LlamaModel): Prompt {
  const chatHistory = messages.map(historyItem);
  if (chatHistory.at(-1)?.type !== "model") chatHistory.push({ type: "model", response: [] });
  let state: ReturnType<ChatWrapper["generateContextState"]>;
  try {
    state = wrapper.generateContextState({ chatHistory });
  } catch {
    // Templates throw what they like, and may quote the messages.
    throw new EngineError("invalid_request", "The model's chat template does not accept this order of messages.");
  }
  const stops = state.stopGenerationTriggers
    .map((trigger) => trigger.tokenize(model.tokenizer))
    .filter((tokens) => tokens.length === 1)
    .flat();
  return { tokens: state.contextText.tokenize(model.tokenizer), stops: new Set(stops) };
}

function historyItem(message: ChatRequest["messages"][number]): ChatHistoryItem {
  switch (message.role) {
    case "system":
    case "developer":
      return { type: "system", text: textOf(message.content) };
    case "user":
      return { type: "user", text: textOf(message.content) };
    case "assistant":
      if (message.tool_calls !== undefined) throw unsupported("tools");
      return { type: "model", response: [textOf(message.content ?? "")] };
    default:
      throw unsupported("tools");
  }
}

type Content = string | readonly ({ type: "text"; text: string } | { type: "image_url" })[];

function textOf(content: Content): string {
  if (typeof content === "string") return content;
  return content
    .map((part) => {
      if (part.type === "image_url") throw unsupported("image_input");
      return part.text;
    })
    .join("");
}

const unsupported = (feature: string): EngineError =>
  new EngineError("unsupported_parameter", `The embedded engine does not support ${feature}.`);
