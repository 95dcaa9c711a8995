/** Refusals after which connecting again cannot help, and how they are read. */

import type { IncomingMessage } from "node:http";
import type { ErrorCode } from "../../core/errors.ts";

const FINAL_CODES = [
  "daemon_not_enrolled",
  "unknown_version",
  "weak_public_key",
  "replaced",
] as const satisfies ErrorCode[];

export function isFinalCode(code: string): boolean {
  return (FINAL_CODES as readonly string[]).includes(code);
}

const MOST_BYTES = 64 * 1024;

/** Reads why the network answered the upgrade with something else than a WebSocket. */
export async function readRejection(response: IncomingMessage): Promise<{ code: string | null; detail: string }> {
  const fallback = { code: null, detail: `the network answered with status ${response.statusCode ?? "none"}` };
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > MOST_BYTES) return fallback;
      chunks.push(chunk);
    }
    const problem: unknown = JSON.parse(Buffer.concat(chunks).toString("utf8"));
    if (typeof problem !== "object" || problem === null) return fallback;
    const code = "code" in problem && typeof problem.code === "string" ? problem.code : null;
    const detail = "detail" in problem && typeof problem.detail === "string" ? problem.detail : fallback.detail;
    return { code, detail };
  } catch {
    return fallback;
  }
}
