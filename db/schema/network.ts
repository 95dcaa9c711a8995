/** What the network knows: the catalog, the daemons that are enrolled, and accounts. */

import { sql } from "drizzle-orm";
import { check, index, integer, primaryKey, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";
import type { AccountId, Pseudonym } from "../../core/ids.ts";
import type { Lane } from "../../core/lanes.ts";
import type { Quantization } from "../../core/pricing.ts";
import type { CatalogModel } from "../../protocol/catalog.ts";
import type { Tier } from "../../protocol/daemon/messages.ts";

/** The catalog; a row is a `catalogModel` (protocol/catalog.ts). WITHOUT ROWID. */
export const models = sqliteTable(
  "models",
  {
    id: text().primaryKey(),
    name: text().notNull(),
    parameters_in_millions: integer().notNull(),
    quantization: text().$type<Quantization>().notNull(),
    context_length: integer().notNull(),
    completion_default: integer().notNull(),
    completion_max: integer().notNull(),
    rates: text({ mode: "json" }).$type<CatalogModel["rates"]>(),
    prompt_bytes_per_token_hundredths: integer().notNull(),
    prompt_tokens_per_message: integer().notNull(),
    prompt_tokens_per_image: integer().notNull(),
    min_bytes_per_token_hundredths: integer().notNull(),
    lanes: text({ mode: "json" }).$type<Lane[]>().notNull(),
    created: integer().notNull(),
  },
  (table) => [
    check("models_rates_json", sql`${table.rates} IS NULL OR json_valid(${table.rates})`),
    check("models_lanes_json", sql`json_valid(${table.lanes})`),
    check("models_parameters", sql`${table.parameters_in_millions} > 0`),
  ],
);

/** Requests with known answers, by model and the hash of the request. WITHOUT ROWID. */
export const probes = sqliteTable(
  "probes",
  {
    model: text().notNull(),
    id: text().notNull(),
    /** As daemons are given it. */
    request: text({ mode: "json" }).$type<Record<string, unknown>>().notNull(),
    /** Texts that a right answer begins with. */
    answers: text({ mode: "json" }).$type<string[]>().notNull(),
    created_at: integer().notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.model, table.id] }),
    check("probes_request_json", sql`json_valid(${table.request})`),
    check("probes_answers_json", sql`json_array_length(${table.answers}) > 0`),
  ],
);

/** Enrolled daemons. The id is the public key in base58. WITHOUT ROWID. */
export const daemons = sqliteTable(
  "daemons",
  {
    id: text().primaryKey(),
    account: text().notNull(),
    name: text().notNull(),
    payout: text().$type<"usdc" | "credits">().notNull(),
    tier: text().$type<Tier>().notNull(),
    created_at: integer().notNull(),
    /** When its account drained it; null while it takes jobs. */
    drained_at: integer(),
  },
  (table) => [
    index("daemons_account").on(table.account),
    check("daemons_payout", sql`${table.payout} IN ('usdc', 'credits')`),
  ],
);

/** Accounts by the names that receipts call consumers by: what is only known to the network. WITHOUT ROWID. */
export const accounts = sqliteTable(
  "accounts",
  {
    id: text().$type<AccountId>().primaryKey(),
    pseudonym: text().$type<Pseudonym>().notNull(),
    opened_at: integer().notNull(),
  },
  (table) => [uniqueIndex("accounts_pseudonym").on(table.pseudonym)],
);
