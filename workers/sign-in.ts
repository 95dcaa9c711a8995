/** What follows when a wallet has proven itself: whose it is, its account where it has none, and a session. */

import { refuse } from "../core/errors.ts";
import { type AccountId, base62, type KeyId, type MemberId, type SessionId, type WalletAddress } from "../core/ids.ts";
import { addAccount } from "../db/accounts.ts";
import { getWallet, linkWallet, unlinkMember, type WalletRow } from "../db/wallets.ts";
import { emitError } from "../durable-objects/shared/events.ts";
import type { Answer } from "../protocol/internal/account.ts";
import type { SessionRecord } from "../protocol/internal/session.ts";
import { pseudonymOf } from "./auth.ts";
import { configOf } from "./config.ts";
import type { CallContext } from "./http.ts";
import { onAccount } from "./objects.ts";
import { hashesOf, type SessionSecrets, secretsOf } from "./sessions.ts";
import { grantStarter, type StarterOutcome } from "./starter.ts";

export interface SignedIn {
  readonly account: AccountId;
  /** Whether the wallet was nobody's, and has an account of its own now. */
  readonly opened: boolean;
  readonly session: SessionRecord;
  readonly secrets: SessionSecrets;
  readonly starter: StarterOutcome;
}

/** Begins a session of the member whose wallet this is; a wallet that is nobody's opens an account. */
export async function signIn(c: CallContext, address: WalletAddress): Promise<Answer<SignedIn>> {
  const row = await getWallet(c.env.DB, address);
  if (row === null) return await openFor(c, address);
  const begun = await begin(c, row);
  if (begun.ok || begun.refusal.code !== "member_not_found") {
    return begun.ok ? await finish(c, row, begun.value, false) : begun;
  }
  // Its member was removed, so the wallet is free.
  await unlinkMember(c.env.DB, row);
  return await openFor(c, address);
}

/** Two who sign in at once with a new wallet meet in one account: the first row tells which. */
async function openFor(c: CallContext, address: WalletAddress): Promise<Answer<SignedIn>> {
  const [account, member] = [randomId<AccountId>(), randomId<MemberId>()];
  const now = Date.now();
  // First the account's row, so that there is none that receipts name and nobody finds; a row too many does no harm.
  await addAccount(c.env.DB, { id: account, pseudonym: pseudonymOf(account, configOf(c.env)), opened_at: now });
  const row = await linkWallet(c.env.DB, { address, account, member, role: "sign_in", linked_at: now });
  const begun = await begin(c, row);
  return begun.ok ? await finish(c, row, begun.value, row.account === account) : begun;
}

interface Begun {
  readonly session: SessionRecord;
  readonly secrets: SessionSecrets;
}

async function begin(c: CallContext, { address, account, member, role }: WalletRow): Promise<Answer<Begun>> {
  const secrets = secretsOf(configOf(c.env).edgeKey, randomId());
  const command = {
    type: "begin",
    id: randomId<SessionId>(),
    member,
    key: randomId<KeyId>(),
    wallet: address,
    recovery: role === "recovery",
    hashes: hashesOf(secrets),
  } as const;
  const answer = await onAccount(c.env, account, (object) => object.sessions(command));
  if (!answer.ok) return answer;
  const [session] = answer.value;
  if (session === undefined) throw new Error("an account began a session and did not tell it");
  // Whoever unlinked it meanwhile has ended the sessions that there were, and this one was not among them.
  const still = await getWallet(c.env.DB, address);
  if (still?.account === account && still.member === member && still.role === role) {
    return { ok: true, value: { session, secrets } };
  }
  await onAccount(c.env, account, (object) => object.sessions({ type: "unlinked", member, wallet: address }));
  return { ok: false, refusal: refuse("invalid_challenge", { detail: "The wallet was unlinked meanwhile." }) };
}

async function finish(c: CallContext, row: WalletRow, begun: Begun, opened: boolean): Promise<Answer<SignedIn>> {
  // The session is there already, and the next sign-in brings what this one could not.
  const starter = await grantStarter(c.env, row).catch((error: unknown): StarterOutcome => {
    emitError("starter_failed", error, { account: row.account });
    return "unknown";
  });
  return { ok: true, value: { account: row.account, opened, ...begun, starter } };
}

function randomId<Id extends string>(): Id {
  return base62(crypto.getRandomValues(new Uint8Array(16))) as Id;
}
