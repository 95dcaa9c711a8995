/** Whose wallets are whose, in D1: a wallet belongs to one member of one account (economics.md §7). */

import type { D1Database } from "@cloudflare/workers-types";
import { and, asc, eq, gt, ne, or, sql } from "drizzle-orm";
import type { WalletAddress } from "../core/ids.ts";
import { LIMITS } from "../core/limits.ts";
import { open } from "./client.ts";
import { wallets } from "./schema.ts";

export type WalletRow = typeof wallets.$inferSelect;
export type WalletOwner = Pick<WalletRow, "account" | "member">;

/** A page of all wallets in order of address, those after `after`: for whoever reads every stake. */
export async function listWallets(
  db: D1Database,
  { after = "", limit = LIMITS.maxPageRows }: { after?: string; limit?: number } = {},
): Promise<WalletRow[]> {
  return open(db)
    .select()
    .from(wallets)
    .where(gt(wallets.address, after as WalletAddress))
    .orderBy(asc(wallets.address))
    .limit(Math.min(limit, LIMITS.maxPageRows))
    .all();
}

/** A member's wallets, oldest first. */
export async function walletsOf(db: D1Database, { account, member }: WalletOwner): Promise<WalletRow[]> {
  return open(db)
    .select()
    .from(wallets)
    .where(isOf({ account, member }))
    .orderBy(asc(wallets.linked_at), asc(wallets.address))
    .limit(LIMITS.memberWallets)
    .all();
}

export async function getWallet(db: D1Database, address: WalletAddress): Promise<WalletRow | null> {
  return (await open(db).select().from(wallets).where(eq(wallets.address, address)).get()) ?? null;
}

/**
 * Links a wallet that nobody has linked, and tells whose it is then: of two who link it at once, one's. A wallet that is the
 * member's already keeps its time and its role.
 */
export async function linkWallet(db: D1Database, wallet: WalletRow): Promise<WalletRow> {
  const { address } = wallet;
  // An update that changes nothing, so that the row that stands is told in the same statement.
  return open(db)
    .insert(wallets)
    .values(wallet)
    .onConflictDoUpdate({ target: wallets.address, set: { address } })
    .returning()
    .get();
}

/**
 * Unlinks a member's wallet; false where it is not there, or is the last one that signs in. One statement, so that of two
 * who unlink the last two at once one is refused.
 */
export async function unlinkWallet(db: D1Database, owner: WalletOwner, address: WalletAddress): Promise<boolean> {
  const isNotLast = or(
    eq(wallets.role, "recovery"),
    sql`EXISTS (SELECT 1 FROM ${wallets} AS other WHERE other.account = ${owner.account} AND other.member = ${owner.member}
      AND other.role = 'sign_in' AND other.address <> ${address})`,
  );
  const gone = await open(db)
    .delete(wallets)
    .where(and(isOf(owner), eq(wallets.address, address), isNotLast))
    .returning({ address: wallets.address });
  return gone.length > 0;
}

/** Unlinks the wallets that a member signs in with, but for one: access was restored with that. */
export async function unlinkOthers(db: D1Database, owner: WalletOwner, kept: WalletAddress): Promise<void> {
  await open(db)
    .delete(wallets)
    .where(and(isOf(owner), eq(wallets.role, "sign_in"), ne(wallets.address, kept)));
}

/** Unlinks all wallets of a member who was removed: they may begin accounts of their own. */
export async function unlinkMember(db: D1Database, owner: WalletOwner): Promise<void> {
  await open(db).delete(wallets).where(isOf(owner));
}

function isOf({ account, member }: WalletOwner) {
  return and(eq(wallets.account, account), eq(wallets.member, member));
}
