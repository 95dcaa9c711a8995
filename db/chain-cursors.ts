/** How far the transactions of an address were looked at, moved by compare-and-set. */

import type { D1Database } from "@cloudflare/workers-types";
import { and, eq } from "drizzle-orm";
import { open } from "./client.ts";
import { chainCursors } from "./schema.ts";

export type CursorRow = typeof chainCursors.$inferSelect;

/** The cursor of an address; one that has seen nothing where there is none yet. */
export async function getCursor(db: D1Database, genesis: string, address: string): Promise<CursorRow> {
  const found = await open(db).select().from(chainCursors).where(isCursor({ genesis, address })).get();
  return found ?? { genesis, address, slot: 0, head: 0, below: null, version: 0 };
}

/** Moves a cursor from where it was read. False where another one has moved it. */
export async function moveCursor(
  db: D1Database,
  from: CursorRow,
  to: Pick<CursorRow, "slot" | "head" | "below">,
): Promise<boolean> {
  const moved: CursorRow = { ...from, ...to, version: from.version + 1 };
  const d1 = open(db);
  const done =
    from.version === 0
      ? await d1.insert(chainCursors).values(moved).onConflictDoNothing().returning()
      : await d1
          .update(chainCursors)
          .set(moved)
          .where(and(isCursor(from), eq(chainCursors.version, from.version)))
          .returning();
  return done.length > 0;
}

function isCursor({ genesis, address }: Pick<CursorRow, "genesis" | "address">) {
  return and(eq(chainCursors.genesis, genesis), eq(chainCursors.address, address));
}
