/** Lists of the network's API, which come in pages. */

import type { z } from "zod";
import { LIMITS } from "../../core/limits.ts";
import { callJson } from "./api.ts";
import type { Settings } from "./settings.ts";

interface Page<T> {
  readonly data: T[];
  readonly next: string | null;
}

/** Reads a list to its end: all of it, or those in one state. Throws a Failure. */
export async function readPages<T>(
  settings: Settings,
  path: string,
  shape: z.ZodType<Page<T>>,
  state?: string,
): Promise<T[]> {
  const all: T[] = [];
  for (let cursor: string | null = ""; cursor !== null; ) {
    const query: URLSearchParams = new URLSearchParams({
      limit: String(LIMITS.maxPageRows),
      ...(state === undefined ? {} : { state }),
      ...(cursor === "" ? {} : { cursor }),
    });
    const page: Page<T> = await callJson(settings, `${path}?${query.toString()}`, shape);
    all.push(...page.data);
    cursor = page.next;
  }
  return all;
}
