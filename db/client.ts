/** D1 through Drizzle, for queries that need no more than one statement. Only `batch()` is atomic in D1. */

import type { D1Database } from "@cloudflare/workers-types";
import { drizzle } from "drizzle-orm/d1";

/** Wraps a D1 binding; costs nothing worth keeping, so callers wrap it for each use. */
export function open(db: D1Database): ReturnType<typeof drizzle> {
  return drizzle(db);
}
