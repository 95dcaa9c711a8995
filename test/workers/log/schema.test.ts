import { env } from "cloudflare:workers";
import { expect, it } from "vitest";

const tables = async () => {
  const { results } = await env.DB.prepare("SELECT name, sql FROM sqlite_master WHERE type = 'table'").all<{
    name: string;
    sql: string;
  }>();
  return results.filter(({ name }) => !/^(sqlite_|_cf_|d1_migrations)/.test(name));
};

it("has only STRICT tables, so that a column holds what its type says", async () => {
  const all = await tables();
  expect(all.map(({ name }) => name).sort()).toEqual(
    expect.arrayContaining([
      "chain_cursors",
      "daemons",
      "daily_epochs",
      "dead_letters",
      "fundings",
      "deposit_intents",
      "deposit_resolutions",
      "deposits",
      "journal",
      "journal_totals",
      "models",
      "operator_messages",
      "receipts",
      "reversals",
      "rollups",
      "segments",
      "stake_balances",
      "stake_readings",
      "stake_snapshots",
      "stakes",
      "treasury_transactions",
    ]),
  );
  expect(all.filter(({ sql }) => !/\)\s*STRICT\b[^)]*$/.test(sql)).map(({ name }) => name)).toEqual([]);
});

it("keeps no row id beside a key of text, since the key's index would be billed as a second row", async () => {
  const textKey = /`\w+` text PRIMARY KEY|PRIMARY KEY\(/;
  const wasteful = (await tables()).filter(({ sql }) => textKey.test(sql) && !/WITHOUT ROWID\s*$/.test(sql));
  expect(wasteful.map(({ name }) => name)).toEqual([]);
});

it("has no secondary index on receipts", async () => {
  const indexes = await env.DB.prepare("SELECT name FROM pragma_index_list('receipts') WHERE origin != 'pk'").all();
  expect(indexes.results).toEqual([]);
});
