/** Small questions to a local server that may be an engine, something else, or nothing. */

import type { z } from "zod";

/** Asks for a path and reads its JSON; null unless the answer is 2xx JSON of that shape. */
export type Ask = <T>(path: string, schema: z.ZodType<T>, body?: unknown) => Promise<T | null>;

const MOST_BYTES = 4 * 1024 * 1024;

/** Questions to one base URL. Never throws: a server that is slow, silent or something else gives null. */
export function asker(baseUrl: string, key: string | null, timeoutMs: number): Ask {
  return async (path, schema, body) => {
    try {
      const response = await fetch(new URL(path, baseUrl), {
        method: body === undefined ? "GET" : "POST",
        headers: { ...authorization(key), ...(body === undefined ? {} : { "content-type": "application/json" }) },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(timeoutMs),
        // An engine answers itself; following a redirect could leave the machine.
        redirect: "error",
      });
      const declared = Number(response.headers.get("content-length") ?? 0);
      if (!response.ok || declared > MOST_BYTES) {
        await response.body?.cancel();
        return null;
      }
      const parsed = schema.safeParse(await response.json());
      return parsed.success ? parsed.data : null;
    } catch {
      return null;
    }
  };
}

export function authorization(key: string | null): Record<string, string> {
  return key === null ? {} : { authorization: `Bearer ${key}` };
}
