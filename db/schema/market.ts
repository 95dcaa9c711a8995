/** What the market publishes of itself. */

import { sql } from "drizzle-orm";
import { check, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";

/**
 * The secrets of newcomers' draws (core/auction/draw.ts): what was published of each before its day, and the secret itself
 * after it.
 */
export const auctionDraws = sqliteTable(
  "auction_draws",
  {
    /** Days since 1970-01-01, UTC. */
    day: integer().primaryKey(),
    /** SHA-256 of the secret, hex. */
    commitment: text().notNull(),
    published_at: integer().notNull(),
    /** Hex; null until the day is over. */
    secret: text(),
  },
  (table) => [
    check("auction_draws_commitment", sql`length(${table.commitment}) = 64`),
    check("auction_draws_secret", sql`${table.secret} IS NULL OR length(${table.secret}) = 64`),
  ],
);
