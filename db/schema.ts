/**
 * The tables of D1. `npm run migrations` turns changes into numbered SQL. SQLite's STRICT and WITHOUT ROWID are added to
 * that SQL by hand, because drizzle-kit cannot say them; a test holds that every table is STRICT.
 *
 * Times are milliseconds since 1970. Amounts are safe integers. What a large table could outgrow (outcomes, lanes) is
 * checked by the code alone: changing a CHECK means copying the table.
 */

export * from "./schema/allotment.ts";
export * from "./schema/deposits.ts";
export * from "./schema/log.ts";
export * from "./schema/market.ts";
export * from "./schema/messages.ts";
export * from "./schema/network.ts";
export * from "./schema/networks.ts";
export * from "./schema/reversals.ts";
export * from "./schema/sign-in.ts";
export * from "./schema/stake.ts";
export * from "./schema/x402.ts";
