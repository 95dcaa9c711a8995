/** What operators tell the people who run daemons. */

import { sql } from "drizzle-orm";
import { check, index, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { AccountId, DaemonId } from "../../core/ids.ts";
import type { Notice } from "../../protocol/daemon/messages.ts";

/**
 * Messages to one daemon, to an account's, or to all where neither is named. A daemon that connects before `until` is told
 * too, unless the message was withdrawn. The index is for admissions, which read what counts. WITHOUT ROWID.
 */
export const operatorMessages = sqliteTable(
  "operator_messages",
  {
    id: text().primaryKey(),
    level: text().$type<Notice["level"]>().notNull(),
    text: text().notNull(),
    daemon: text().$type<DaemonId>(),
    account: text().$type<AccountId>(),
    until: integer().notNull(),
    sent_by: text().notNull(),
    sent_at: integer().notNull(),
    withdrawn_at: integer(),
  },
  (table) => [
    index("operator_messages_until").on(table.until).where(sql`${table.withdrawn_at} IS NULL`),
    check("operator_messages_level", sql`${table.level} IN ('info', 'warning', 'error')`),
    check("operator_messages_to", sql`${table.daemon} IS NULL OR ${table.account} IS NULL`),
  ],
);
