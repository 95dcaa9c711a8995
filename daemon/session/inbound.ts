/** Reading what a relay sends. What is not understood is described by its place, never by its value. */

import { type RelayMessage, relayMessage } from "../../protocol/daemon/messages.ts";

export type Inbound =
  | { readonly message: RelayMessage }
  /** A type of a later protocol: ignored without a word. */
  | { readonly unknown: string }
  /** `stream` is the stream of a job that can be declined although it is malformed. */
  | { readonly problem: string; readonly stream: number | null };

const KNOWN: ReadonlySet<string> = new Set(relayMessage.options.map((option) => option.shape.type.value));

/** The messages of a text: one, or an array of them. */
export function readRelayMessages(text: string): Inbound[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return [{ problem: "it is not JSON", stream: null }];
  }
  return Array.isArray(value) ? value.map(readRelayMessage) : [readRelayMessage(value)];
}

function readRelayMessage(value: unknown): Inbound {
  const parsed = relayMessage.safeParse(value);
  if (parsed.success) return { message: parsed.data };
  if (typeof value !== "object" || value === null || !("type" in value) || typeof value.type !== "string") {
    return { problem: "it has no type", stream: null };
  }
  if (!KNOWN.has(value.type)) return { unknown: value.type.slice(0, 32) };
  const stream = value.type === "job" && "stream" in value && isStream(value.stream) ? value.stream : null;
  return { problem: `${value.type}: ${parsed.error.issues[0]?.path.join(".") || "the message"} is malformed`, stream };
}

function isStream(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 0xffffffff;
}
