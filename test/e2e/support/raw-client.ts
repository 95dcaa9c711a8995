/** A client of the lowest kind: one TCP connection that can be cut in the middle of an answer. */

import { request } from "node:http";
import type { Network, TestAccount } from "./network.ts";
import { until } from "./network.ts";

export interface RawAnswer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  /** What has come so far. */
  readonly text: () => string;
  /** Waits until the answer holds a text. */
  readonly until: (text: string) => Promise<void>;
  /** Waits until the answer is over. */
  readonly ended: Promise<void>;
  /** Cuts the connection: a reset, as when the client's machine is gone. */
  readonly reset: () => void;
}

/** Asks for a chat completion; resolves when the answer's headers are there. */
export async function rawChat(
  network: Network,
  account: TestAccount,
  body: object,
  headers: Record<string, string> = {},
): Promise<RawAnswer> {
  const call = { method: "POST", headers: { "content-type": "application/json", ...headers }, body };
  return await rawCall(network, account, "/v1/chat/completions", call);
}

/** Calls a path over a connection of its own; resolves when the answer's headers are there. */
export async function rawCall(
  network: Network,
  { apiKey }: TestAccount,
  path: string,
  { method = "GET", headers, body }: { method?: string; headers: Record<string, string>; body?: object },
): Promise<RawAnswer> {
  return await new Promise((resolve, reject) => {
    const sent = request(network.url + path, {
      method,
      agent: false,
      headers: { authorization: `Bearer ${apiKey}`, ...headers },
    });
    sent.once("error", reject);
    sent.once("response", (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => (text += part));
      // What is cut on purpose complains.
      for (const emitter of [sent, response]) emitter.on("error", () => {});
      resolve({
        status: response.statusCode ?? 0,
        headers: response.headers,
        text: () => text,
        until: (wanted) => until(() => text.includes(wanted), `${wanted} in the answer`),
        ended: new Promise((end) => void response.once("close", () => end())),
        reset: () => response.socket.resetAndDestroy(),
      });
    });
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
