/** Private networks: their rates, who is in them, and how one comes in. */

import { sql } from "drizzle-orm";
import { check, index, integer, primaryKey, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";
import type { AccountId, InviteId, NetworkId, Pseudonym } from "../../core/ids.ts";
import type { NanoUsd } from "../../core/units.ts";

/** What a private network charges for a model, in nanoUSD per 1,000 tokens. */
export interface NetworkRate {
  readonly prompt: NanoUsd;
  readonly completion: NanoUsd;
}

/** Private networks. `account` is the admin's; `made` the canonical text of the call that made it. WITHOUT ROWID. */
export const networks = sqliteTable(
  "networks",
  {
    id: text().$type<NetworkId>().primaryKey(),
    account: text().$type<AccountId>().notNull(),
    name: text().notNull(),
    /** By model id. */
    rates: text({ mode: "json" }).$type<Readonly<Record<string, NetworkRate>>>().notNull(),
    made: text().notNull(),
    created_at: integer().notNull(),
    closed_at: integer(),
  },
  (table) => [
    index("networks_account").on(table.account).where(sql`${table.closed_at} IS NULL`),
    check("networks_rates", sql`json_type(${table.rates}) = 'object'`),
  ],
);

/**
 * Memberships: a row for each time that somebody came in, by which invite, so that uses of an invite are counted for good. One
 * that has no end is live, and an account has one of those in a network. WITHOUT ROWID.
 */
export const networkMembers = sqliteTable(
  "network_members",
  {
    network: text().$type<NetworkId>().notNull(),
    account: text().$type<AccountId>().notNull(),
    joined_at: integer().notNull(),
    /** What the other members know it by. */
    pseudonym: text().$type<Pseudonym>().notNull(),
    name: text(),
    /** Null for the admin. */
    invite: text().$type<InviteId>(),
    ended_at: integer(),
  },
  (table) => [
    primaryKey({ columns: [table.network, table.account, table.joined_at] }),
    uniqueIndex("network_members_live").on(table.network, table.account).where(sql`${table.ended_at} IS NULL`),
    index("network_members_account").on(table.account).where(sql`${table.ended_at} IS NULL`),
    index("network_members_invite").on(table.invite),
  ],
);

/** Invites to private networks, by the hash of their secrets alone. WITHOUT ROWID. */
export const networkInvites = sqliteTable(
  "network_invites",
  {
    id: text().$type<InviteId>().primaryKey(),
    network: text().$type<NetworkId>().notNull(),
    secret_hash: text().notNull(),
    name: text(),
    uses: integer().notNull(),
    made: text().notNull(),
    created_at: integer().notNull(),
    expires_at: integer().notNull(),
    revoked_at: integer(),
  },
  (table) => [
    index("network_invites_network").on(table.network),
    uniqueIndex("network_invites_secret").on(table.secret_hash),
    check("network_invites_uses", sql`${table.uses} > 0`),
  ],
);
