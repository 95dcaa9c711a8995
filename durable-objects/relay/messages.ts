/** Reading a daemon's text message: a known type with a wrong field is named, an unknown type is ignored. */

import { type ErrorCode, type Refusal, refuse } from "../../core/errors.ts";
import { LIMITS } from "../../core/limits.ts";
import { DAEMON_MESSAGE_TYPES, type DaemonMessage, daemonMessage, PING } from "../../protocol/daemon/messages.ts";
import { refuseIssues } from "../../protocol/errors.ts";

export type ReadMessage =
  | { readonly type: "message"; readonly message: DaemonMessage }
  | { readonly type: "ignored" }
  | { readonly type: "bad"; readonly refusal: Refusal };

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export function readMessage(text: string): ReadMessage {
  // The platform answers pings by itself; one that arrives here came while it could not.
  if (text === PING) return { type: "ignored" };
  if (text.length > LIMITS.daemonTextBytes) {
    return bad("request_too_large", `A message has at most ${LIMITS.daemonTextBytes} bytes.`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return bad("invalid_json", "The message is not valid JSON.");
  }
  const type = typeof value === "object" && value !== null && "type" in value ? value.type : undefined;
  if (typeof type !== "string") {
    return bad("unexpected_message", "A message is an object with a `type`.");
  }
  if (!DAEMON_MESSAGE_TYPES.has(type)) return { type: "ignored" };
  const parsed = daemonMessage.safeParse(value);
  if (parsed.success) return { type: "message", message: parsed.data };
  const refusal = refuseIssues(parsed.error);
  return { type: "bad", refusal: { ...refusal, message: `${type}: ${refusal.message}` } };
}

function bad(code: ErrorCode, detail: string): ReadMessage {
  return { type: "bad", refusal: refuse(code, { detail }) };
}

/** A text in UTF-8, or null when the bytes are none. */
export function textOf(bytes: Uint8Array): string | null {
  try {
    return utf8.decode(bytes);
  } catch {
    return null;
  }
}
