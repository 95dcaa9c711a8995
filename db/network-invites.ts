/** Invites to private networks in D1, and who comes in by them. */

import type { D1Database } from "@cloudflare/workers-types";
import { and, asc, eq, getTableColumns, isNull, sql } from "drizzle-orm";
import type { AccountId, InviteId, NetworkId, Pseudonym } from "../core/ids.ts";
import { LIMITS } from "../core/limits.ts";
import { open } from "./client.ts";
import { lastMembership, membersOf, type NetworkMemberRow } from "./networks.ts";
import { networkInvites, networkMembers, networks } from "./schema.ts";

export type NetworkInviteRow = typeof networkInvites.$inferSelect & {
  /** How often somebody has come in by it. */
  readonly used: number;
};

export interface NetworkJoin {
  readonly network: NetworkId;
  readonly secretHash: string;
  readonly account: AccountId;
  readonly pseudonym: Pseudonym;
  readonly name: string | null;
}

export type JoinOutcome =
  | { readonly type: "joined" | "member_before"; readonly member: NetworkMemberRow }
  | { readonly type: "unknown" | "expired" | "used" | "older_than_end" | "network_full" | "too_many_networks" };

const used = sql<number>`(SELECT count(*) FROM ${networkMembers} AS m WHERE m.invite = ${networkInvites.id})`;
const row = { ...getTableColumns(networkInvites), used };

/** Adds an invite. False where its network has as many as it may; one that is there stays as it is. */
export async function addInvite(
  db: D1Database,
  invite: Omit<NetworkInviteRow, "used" | "revoked_at">,
): Promise<boolean> {
  const { id, network, secret_hash, name, uses, made, created_at: now, expires_at } = invite;
  const isOpen = sql`i.revoked_at IS NULL AND i.expires_at > ${now}`;
  await open(db).run(sql`
    INSERT INTO ${networkInvites} (id, network, secret_hash, name, uses, made, created_at, expires_at)
    SELECT ${id}, ${network}, ${secret_hash}, ${name}, ${uses}, ${made}, ${now}, ${expires_at}
    WHERE (SELECT count(*) FROM ${networkInvites} AS i WHERE i.network = ${network}) < ${LIMITS.networkInvitesEver}
      AND (SELECT count(*) FROM ${networkInvites} AS i WHERE i.network = ${network} AND ${isOpen}) < ${LIMITS.networkInvites}
    ON CONFLICT DO NOTHING`);
  return (await getInvite(db, network, id)) !== null;
}

/** An invite of a network, or null. */
export async function getInvite(db: D1Database, network: NetworkId, id: InviteId): Promise<NetworkInviteRow | null> {
  const isIt = and(eq(networkInvites.id, id), eq(networkInvites.network, network));
  return (await open(db).select(row).from(networkInvites).where(isIt).get()) ?? null;
}

/** A network's invites, oldest first. */
export async function invitesOf(db: D1Database, network: NetworkId): Promise<NetworkInviteRow[]> {
  const rows = open(db).select(row).from(networkInvites).where(eq(networkInvites.network, network));
  return rows.orderBy(asc(networkInvites.created_at), asc(networkInvites.id)).limit(LIMITS.networkInvitesEver).all();
}

/** Lets nobody come in by an invite any more; one that is revoked keeps its time. */
export async function revokeInvite(db: D1Database, network: NetworkId, id: InviteId, now: number): Promise<void> {
  const isLive = and(eq(networkInvites.id, id), eq(networkInvites.network, network), isNull(networkInvites.revoked_at));
  await open(db).update(networkInvites).set({ revoked_at: now }).where(isLive);
}

/**
 * Lets an account into a network by an invite. One statement looks at everything that it depends on and counts the use, so
 * however many come at once, n uses let n in. Who is in already stays in, and no use is taken.
 */
export async function joinByInvite(db: D1Database, join: NetworkJoin, now: number): Promise<JoinOutcome> {
  const { network, secretHash, account, pseudonym, name } = join;
  const added = await open(db)
    .insert(networkMembers)
    .select(sql`
      SELECT i.network, ${account}, ${now}, ${pseudonym}, ${name}, i.id, NULL
      FROM ${networkInvites} AS i INNER JOIN ${networks} AS n ON n.id = i.network
      WHERE i.network = ${network} AND i.secret_hash = ${secretHash} AND i.revoked_at IS NULL AND i.expires_at > ${now}
        AND n.closed_at IS NULL
        AND (SELECT count(*) FROM ${networkMembers} AS m WHERE m.invite = i.id) < i.uses
        AND (SELECT count(*) FROM ${networkMembers} AS m WHERE m.network = i.network AND m.ended_at IS NULL)
          < ${LIMITS.networkMembers}
        AND (SELECT count(*) FROM ${networkMembers} AS m WHERE m.account = ${account} AND m.ended_at IS NULL)
          < ${LIMITS.memberNetworks}
        AND NOT EXISTS (SELECT 1 FROM ${networkMembers} AS m WHERE m.network = i.network AND m.account = ${account}
          AND m.ended_at >= i.created_at)`)
    .onConflictDoNothing()
    .returning();
  const [member] = added;
  return member === undefined ? await whyNot(db, join, now) : { type: "joined", member };
}

/** Why an account did not come in by an invite. */
async function whyNot(
  db: D1Database,
  { network, secretHash, account }: NetworkJoin,
  now: number,
): Promise<JoinOutcome> {
  const isIt = and(eq(networkInvites.network, network), eq(networkInvites.secret_hash, secretHash));
  const found = await open(db)
    .select({ invite: row, closed_at: networks.closed_at })
    .from(networkInvites)
    .innerJoin(networks, eq(networks.id, networkInvites.network))
    .where(isIt)
    .get();
  if (found === undefined || found.closed_at !== null) return { type: "unknown" };
  const { invite } = found;
  const before = await lastMembership(db, network, { account });
  if (before !== null && before.ended_at === null) return { type: "member_before", member: before };
  if (invite.revoked_at !== null) return { type: "unknown" };
  if (before?.ended_at != null && before.ended_at >= invite.created_at) return { type: "older_than_end" };
  if (invite.used >= invite.uses) return { type: "used" };
  if (invite.expires_at <= now) return { type: "expired" };
  const isFull = (await membersOf(db, network)).length >= LIMITS.networkMembers;
  return { type: isFull ? "network_full" : "too_many_networks" };
}
