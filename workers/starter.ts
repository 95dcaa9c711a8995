/** The starter balance (economics.md §6): once for a wallet with a past, or for an operator's code, within a day's budget. */

import { refuse } from "../core/errors.ts";
import type { AccountId } from "../core/ids.ts";
import { DAY_MS } from "../core/time.ts";
import type { Millicredits } from "../core/units.ts";
import { addStarter, findStarter, type Starter } from "../db/starters.ts";
import type { WalletRow } from "../db/wallets.ts";
import { starterCredit } from "../durable-objects/account/credits.ts";
import { emitError } from "../durable-objects/shared/events.ts";
import type { Answer } from "../protocol/internal/account.ts";
import { parseStarterCode } from "../protocol/starter-code.ts";
import { configOf } from "./config.ts";
import { onAccount } from "./objects.ts";
import { SolanaHistory, type WalletHistory } from "./wallet-history.ts";

type Granted = "granted" | "granted_before" | "budget_spent";
/** Null for a recovery wallet, which is nobody's to spend with. */
export type StarterOutcome = Granted | "too_young" | "unknown" | null;

/**
 * Grants the starter balance to a wallet's account if it is due. What D1 has granted is credited by whichever sign-in finds it
 * so; the account takes it once.
 */
export async function grantStarter(env: Env, wallet: WalletRow, history = historyOf(env)): Promise<StarterOutcome> {
  if (wallet.role === "recovery") return null;
  const { address: identity, account } = wallet;
  const before = await findStarter(env.DB, identity, account);
  if (before !== null) {
    if (before.account === account) await bring(env, before);
    return "granted_before";
  }
  const isOld = await knows(history, wallet, Date.now() - configOf(env).parameters.starterHistoryMs);
  if (isOld !== true) return isOld === null ? "unknown" : "too_young";
  return await grant(env, identity, account);
}

/** Grants the starter balance that a code stands for. Refused where the code is forged, has expired or was another's. */
export async function grantByCode(env: Env, text: string, account: AccountId): Promise<Answer<Granted>> {
  const code = parseStarterCode(text, configOf(env).edgeKey);
  if (code === null) return { ok: false, refusal: refuse("invalid_starter_code") };
  const identity = `code:${code.id}`;
  const before = await findStarter(env.DB, identity, account);
  if (before?.account === account) {
    await bring(env, before);
    return { ok: true, value: "granted_before" };
  }
  if (before !== null) return used();
  if (code.expiresAt <= Date.now()) {
    return { ok: false, refusal: refuse("invalid_starter_code", { detail: "The starter code has expired." }) };
  }
  const value = await grant(env, identity, account);
  // Somebody else was faster with the same code.
  if (value === "granted_before" && (await findStarter(env.DB, identity, account))?.account !== account) return used();
  return { ok: true, value };
}

const used = (): Answer<Granted> => ({
  ok: false,
  refusal: refuse("invalid_starter_code", { detail: "The starter code was used by another account." }),
});

async function grant(env: Env, identity: string, account: AccountId): Promise<Granted> {
  const { parameters } = configOf(env);
  const now = Date.now();
  const millicredits = parameters.starterMillicredits as Millicredits;
  const starter = { identity, account, day: Math.floor(now / DAY_MS), millicredits, at: now };
  const isGranted = millicredits > 0 && (await addStarter(env.DB, starter, parameters.starterDailyMillicredits));
  if (!isGranted) return (await findStarter(env.DB, identity, account)) === null ? "budget_spent" : "granted_before";
  return (await bring(env, starter)) ? "granted" : "granted_before";
}

/** Credits what was granted; false where the account has had a starter balance by another way. */
async function bring(env: Env, { account, millicredits, at }: Starter): Promise<boolean> {
  // Everything in it follows from the grant, so that the account knows it when it comes again.
  const credit = { ...starterCredit(configOf(env).parameters, at), amount: millicredits };
  const result = await onAccount(env, account, (object) => object.credit(credit));
  return result.type === "credited";
}

/** Null where nobody can tell. */
async function knows(history: WalletHistory | null, { address }: WalletRow, time: number): Promise<boolean | null> {
  try {
    return (await history?.isKnownBefore(address, time)) ?? null;
  } catch (error) {
    emitError("wallet_history_failed", error);
    return null;
  }
}

function historyOf(env: Env): WalletHistory | null {
  const { solana } = configOf(env);
  return solana === null ? null : new SolanaHistory(solana.rpc);
}
