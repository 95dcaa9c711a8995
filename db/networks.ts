/** Private networks and who is in them, in D1. What may happen at the same time is decided by one statement. */

import type { D1Database } from "@cloudflare/workers-types";
import { and, asc, desc, eq, isNull, sql } from "drizzle-orm";
import type { AccountId, NetworkId, Pseudonym } from "../core/ids.ts";
import { LIMITS } from "../core/limits.ts";
import { open } from "./client.ts";
import type { NetworkRate } from "./schema/networks.ts";
import { networkMembers, networks } from "./schema.ts";

export type NetworkRow = typeof networks.$inferSelect;
export type NetworkMemberRow = typeof networkMembers.$inferSelect;

/** What changes of a network; a rate that is null is taken out. */
export interface NetworkChanges {
  readonly name?: string;
  readonly rates?: Readonly<Record<string, NetworkRate | null>>;
}

const ADD = `INSERT INTO networks (id, account, name, rates, made, created_at)
  SELECT ?1, ?2, ?3, ?4, ?5, ?6
  WHERE (SELECT count(*) FROM networks WHERE account = ?2 AND closed_at IS NULL) < ?7
    AND (SELECT count(*) FROM network_members WHERE account = ?2 AND ended_at IS NULL) < ?8
  ON CONFLICT DO NOTHING`;
const ADD_ADMIN = `INSERT INTO network_members (network, account, joined_at, pseudonym)
  SELECT id, account, created_at, ?2 FROM networks WHERE id = ?1 AND closed_at IS NULL
  ON CONFLICT DO NOTHING`;

/**
 * Makes a network with its admin as the first member. False where the admin has as many as it may; a network that is there
 * stays as it is.
 */
export async function addNetwork(
  db: D1Database,
  { id, account, name, rates, made, created_at }: Omit<NetworkRow, "closed_at">,
  pseudonym: Pseudonym,
): Promise<boolean> {
  const values = [id, account, name, JSON.stringify(rates), made, created_at, LIMITS.networks, LIMITS.memberNetworks];
  await db.batch([db.prepare(ADD).bind(...values), db.prepare(ADD_ADMIN).bind(id, pseudonym)]);
  return (await getNetwork(db, id)) !== null;
}

/** A network by its id, closed or not, or null. */
export async function getNetwork(db: D1Database, id: NetworkId): Promise<NetworkRow | null> {
  return (await open(db).select().from(networks).where(eq(networks.id, id)).get()) ?? null;
}

/** A network that an account is a member of, or null: nothing tells one that is not there from one that is not its. */
export async function networkOfMember(db: D1Database, id: string, account: AccountId): Promise<NetworkRow | null> {
  const row = await open(db)
    .select({ network: networks })
    .from(networkMembers)
    .innerJoin(networks, eq(networks.id, networkMembers.network))
    .where(and(eq(networks.id, id as NetworkId), isLiveOf(account)))
    .get();
  return row?.network ?? null;
}

/** The networks that an account is a member of, in the order in which it came in. */
export async function networksOf(db: D1Database, account: AccountId): Promise<NetworkRow[]> {
  const rows = await open(db)
    .select({ network: networks })
    .from(networkMembers)
    .innerJoin(networks, eq(networks.id, networkMembers.network))
    .where(isLiveOf(account))
    .orderBy(asc(networkMembers.joined_at), asc(networks.id))
    .limit(LIMITS.memberNetworks)
    .all();
  return rows.map(({ network }) => network);
}

/** Changes a network; null where it would have more rates than it may. */
export async function changeNetwork(
  db: D1Database,
  id: NetworkId,
  { name, rates = {} }: NetworkChanges,
): Promise<NetworkRow | null> {
  // Merged by SQLite (RFC 7396), so that two calls about two models do not undo each other.
  const merged = sql`json_patch(${networks.rates}, ${JSON.stringify(rates)})`;
  const [row] = await open(db)
    .update(networks)
    .set({ rates: merged, ...(name === undefined ? {} : { name }) })
    .where(and(eq(networks.id, id), sql`(SELECT count(*) FROM json_each(${merged})) <= ${LIMITS.networkRates}`))
    .returning();
  return row ?? null;
}

/** Closes a network for good and ends every membership of it; one that is closed keeps its time. */
export async function closeNetwork(db: D1Database, id: NetworkId, now: number): Promise<void> {
  const d1 = open(db);
  const isOpen = and(eq(networks.id, id), isNull(networks.closed_at));
  const isLive = and(eq(networkMembers.network, id), isNull(networkMembers.ended_at));
  await d1.batch([
    d1.update(networks).set({ closed_at: now }).where(isOpen),
    d1.update(networkMembers).set({ ended_at: now }).where(isLive),
  ]);
}

/** The live members of a network, in the order in which they came in. */
export async function membersOf(db: D1Database, network: NetworkId): Promise<NetworkMemberRow[]> {
  return open(db)
    .select()
    .from(networkMembers)
    .where(and(eq(networkMembers.network, network), isNull(networkMembers.ended_at)))
    .orderBy(asc(networkMembers.joined_at), asc(networkMembers.account))
    .limit(LIMITS.networkMembers)
    .all();
}

/** The last membership of an account in a network, ended or not; or that of whom the other members know by a name. */
export async function lastMembership(
  db: D1Database,
  network: NetworkId,
  who: { readonly account: AccountId } | { readonly pseudonym: string },
): Promise<NetworkMemberRow | null> {
  const isWho =
    "account" in who
      ? eq(networkMembers.account, who.account)
      : eq(networkMembers.pseudonym, who.pseudonym as Pseudonym);
  const rows = open(db).select().from(networkMembers);
  const own = rows.where(and(eq(networkMembers.network, network), isWho));
  return (await own.orderBy(desc(networkMembers.joined_at)).limit(1).get()) ?? null;
}

/** Ends an account's membership; one that has ended keeps its time. */
export async function endMembership(
  db: D1Database,
  network: NetworkId,
  account: AccountId,
  now: number,
): Promise<void> {
  const isLive = and(eq(networkMembers.network, network), isLiveOf(account));
  await open(db).update(networkMembers).set({ ended_at: now }).where(isLive);
}

function isLiveOf(account: AccountId) {
  return and(eq(networkMembers.account, account), isNull(networkMembers.ended_at));
}
