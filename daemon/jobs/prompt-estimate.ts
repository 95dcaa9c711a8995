/** A prompt's tokens where the engine does not tell them. */

import type { ChatRequest } from "../../protocol/openai/chat.ts";

/** What a token of English has with today's tokenizers; other languages and code have fewer, so this errs to the low side. */
const BYTES_PER_TOKEN = 4;

const encoder = new TextEncoder();

/**
 * An estimate of a prompt's tokens: ⌈UTF-8 bytes of the messages / 4⌉. It is no count. It is claimed only when a job ended
 * before its engine told the prompt's tokens, as most do in their last chunk alone: otherwise whoever cancels would have
 * every prompt for nothing (economics.md §6). The gateway's bound limits it like any claim. Images are left out, as their
 * bytes say nothing about their tokens.
 */
export function estimatePrompt(messages: ChatRequest["messages"]): number {
  const bytes = messages.reduce((sum, message) => sum + encoder.encode(textOf(message)).length, 0);
  return Math.ceil(bytes / BYTES_PER_TOKEN);
}

function textOf(message: ChatRequest["messages"][number]): string {
  const { content } = message;
  const text = Array.isArray(content)
    ? content.map((part) => (part.type === "text" ? part.text : "")).join("")
    : (content ?? "");
  const calls = "tool_calls" in message && message.tool_calls !== undefined ? JSON.stringify(message.tool_calls) : "";
  return text + calls;
}
