/** The sums of windows in D1. They are written together with the receipts they are of (db/log.ts). */

import type { D1Database } from "@cloudflare/workers-types";
import { eq } from "drizzle-orm";
import type { Rollup } from "../core/receipt/rollup.ts";
import { open } from "./client.ts";
import { rollups } from "./schema.ts";

/** Every sum of a window, named by its close, in order of their key. */
export async function rollupsOf(db: D1Database, window: number): Promise<Rollup[]> {
  const rows = await open(db)
    .select()
    .from(rollups)
    .where(eq(rollups.window, window))
    .orderBy(rollups.side, rollups.payee, rollups.lane, rollups.backing)
    .all();
  return rows as Rollup[];
}
