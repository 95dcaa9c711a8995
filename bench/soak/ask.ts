/** One chat completion, streamed, with its consumer's conduct, and what its consumer saw of it. */

import { type Agent, type ClientRequest, type IncomingMessage, request } from "node:http";
import { parseCredits } from "../../core/units.ts";
import type { Conduct } from "./conduct.ts";

/** What a consumer knows when its call is over; `job` is null where no answer came that could name it. */
export type Seen =
  /** The whole answer came, and said what it cost in millicredits. */
  | { readonly type: "whole"; readonly job: string; readonly cost: number }
  | { readonly type: "left"; readonly job: string | null; readonly firstToken: boolean }
  /** An error, as an answer or as the last event of a stream. */
  | { readonly type: "failed"; readonly job: string | null; readonly code: string }
  /** The stream of a consumer who took nothing for too long was ended. */
  | { readonly type: "given_up"; readonly job: string | null }
  /** What no rule foresees. */
  | { readonly type: "broken"; readonly job: string | null; readonly reason: string };

export interface Call {
  readonly url: string;
  readonly apiKey: string;
  readonly body: string;
  readonly conduct: Conduct;
  readonly agent: Agent;
}

/** Enough of an answer's end for its usage, or for its error. */
const TAIL = 2_000;

/** How the error event begins of a stream that broke off on its way (workers/gateway/stream-body.ts). */
const BROKE_OFF = "The answer broke off on its way.";

/** Resolves when the call is over, however it ended. */
export function ask({ url, apiKey, body, conduct, agent }: Call): Promise<Seen> {
  return new Promise((resolve) => {
    const timers: NodeJS.Timeout[] = [];
    let response: IncomingMessage | null = null;
    let tail = "";
    let firstToken = false;
    let left = false;
    const end = (why: string | null): void => {
      for (const timer of timers) clearTimeout(timer);
      const job = jobOf(response);
      if (left) return resolve({ type: "left", job, firstToken });
      const gaveUp = conduct.type === "dawdles" && firstToken;
      // Who read nothing for too long was cut off, and has paid for what was sent: its error promises nothing.
      if (gaveUp && tail.includes(BROKE_OFF)) return resolve({ type: "given_up", job });
      const seen = seenOf(response, tail);
      if (seen !== null) return resolve(seen);
      resolve(gaveUp ? { type: "given_up", job } : { type: "broken", job, reason: why ?? `it broke off: ${tail}` });
    };
    const headers = {
      authorization: `Bearer ${apiKey}`,
      "content-type": "application/json",
      "content-length": Buffer.byteLength(body),
    };
    const sent: ClientRequest = request(url, { method: "POST", agent, headers }, (incoming) => {
      response = incoming;
      incoming.on("data", (data: Buffer) => {
        firstToken ||= data.includes("data: {");
        tail = (tail + data.toString("latin1", Math.max(0, data.length - TAIL))).slice(-TAIL);
      });
      incoming.on("error", (error) => end(error.message));
      incoming.on("end", () => end(null));
      if (conduct.type !== "dawdles") return;
      const { afterMs, forMs } = conduct;
      timers.push(setTimeout(() => incoming.pause(), afterMs));
      timers.push(setTimeout(() => incoming.resume(), afterMs + forMs));
    });
    sent.on("error", (error) => end(error.message));
    if (conduct.type === "leaves") {
      const leave = (): void => {
        left = true;
        // A connection that is not there yet has nobody to reset; then the call is taken back.
        if (sent.socket?.connecting === false) sent.socket.resetAndDestroy();
        sent.destroy();
        end(null);
      };
      timers.push(setTimeout(leave, conduct.afterMs));
    }
    sent.end(body);
  });
}

function jobOf(response: IncomingMessage | null): string | null {
  const job = response?.headers["x-job-id"];
  return typeof job === "string" ? job : null;
}

/** What an answer says of itself; null when it says nothing, as it broke off. */
function seenOf(response: IncomingMessage | null, tail: string): Seen | null {
  const job = jobOf(response);
  const code = /"code":"(\w+)"/.exec(tail)?.[1];
  if (response !== null && response.statusCode !== 200) {
    return code === undefined ? null : { type: "failed", job, code };
  }
  if (!tail.trimEnd().endsWith("data: [DONE]")) return null;
  if (code !== undefined) return { type: "failed", job, code };
  const cost = parseCredits(/"cost":"([\d.]+)"/.exec(tail)?.[1] ?? "");
  return job === null || cost === null ? null : { type: "whole", job, cost };
}
