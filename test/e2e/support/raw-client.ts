/** A client of the lowest kind: one TCP connection that can be cut in the middle of an answer, or before it. */

import { request } from "node:http";
import type { Network, NetworkServer, TestAccount } from "./network.ts";
import { until } from "./network.ts";

export interface RawAnswer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  /** What has come so far. */
  readonly text: () => string;
  /** Waits until the answer holds a text. */
  readonly until: (text: string) => Promise<void>;
  /** Whether it came to its end: false where the connection ended before. */
  readonly whole: Promise<boolean>;
  /** Reads no further until `resume`, so that the connection's buffers fill up. */
  readonly pause: () => void;
  readonly resume: () => void;
  /** Cuts the connection: a reset, as when the client's machine is gone. */
  readonly reset: () => void;
  /** Closes the connection in an orderly way. The Worker notices when it sends more. */
  readonly close: () => void;
}

export interface RawCall {
  /** Resolves when the answer's headers are there; a call that is cut before never has any. */
  readonly answer: Promise<RawAnswer>;
  /** Resolves when the request was written. */
  readonly sent: Promise<void>;
  readonly reset: () => void;
  readonly close: () => void;
}

/** Asks for a chat completion over a connection of its own, straight to the Worker. */
export function openChat(
  network: Network<NetworkServer>,
  account: TestAccount,
  body: object,
  headers: Record<string, string> = {},
): RawCall {
  const call = { method: "POST", headers: { "content-type": "application/json", ...headers }, body };
  return openCall(network, account, "/v1/chat/completions", call);
}

interface CallOptions {
  readonly method?: string;
  readonly headers: Record<string, string>;
  readonly body?: object;
}

/** Calls a path over a connection of its own, straight to the Worker. */
function openCall(
  { server }: Network<NetworkServer>,
  { apiKey }: TestAccount,
  path: string,
  { method = "GET", headers, body }: CallOptions,
): RawCall {
  const call = request(new URL(path, server.direct), {
    method,
    agent: false,
    headers: { authorization: `Bearer ${apiKey}`, ...headers },
  });
  // What is cut on purpose complains.
  call.on("error", () => {});
  const reset = (): void => void call.socket?.resetAndDestroy();
  const close = (): void => void call.socket?.destroy();
  const answer = new Promise<RawAnswer>((resolve, reject) => {
    call.once("error", reject);
    call.once("response", (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => (text += part));
      response.on("error", () => {});
      resolve({
        status: response.statusCode ?? 0,
        headers: response.headers,
        text: () => text,
        until: (wanted) => until(() => text.includes(wanted), `${wanted} in the answer`),
        whole: new Promise((ended) => response.once("close", () => ended(response.complete))),
        pause: () => void response.pause(),
        resume: () => void response.resume(),
        reset,
        close,
      });
    });
  });
  answer.catch(() => {});
  const sent = new Promise<void>((resolve) =>
    call.end(body === undefined ? undefined : JSON.stringify(body), () => resolve()),
  );
  return { answer, sent, reset, close };
}

/** Asks for a chat completion; resolves when the answer's headers are there. */
export function rawChat(...call: Parameters<typeof openChat>): Promise<RawAnswer> {
  return openChat(...call).answer;
}

/** Calls a path; resolves when the answer's headers are there. */
export function rawCall(...call: Parameters<typeof openCall>): Promise<RawAnswer> {
  return openCall(...call).answer;
}
