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
  /** Cuts the connection: a reset, as when the client's machine is gone. */
  readonly reset: () => void;
}

/** Asks for a chat completion; resolves when the answer's headers are there. */
export async function rawChat(
  network: Network,
  { apiKey }: TestAccount,
  body: object,
  headers: Record<string, string> = {},
): Promise<RawAnswer> {
  return await new Promise((resolve, reject) => {
    const sent = request(`${network.url}/v1/chat/completions`, {
      method: "POST",
      agent: false,
      headers: { authorization: `Bearer ${apiKey}`, "content-type": "application/json", ...headers },
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
        reset: () => response.socket.resetAndDestroy(),
      });
    });
    sent.end(JSON.stringify(body));
  });
}
