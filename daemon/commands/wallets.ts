/** `tollmill login`, `logout` and `wallets`: signing in with a keypair file, and the member's wallets. */

import { homedir } from "node:os";
import { join } from "node:path";
import {
  endedSessions,
  linkWallet,
  unlinkedWallet,
  walletList,
  wallet as walletShape,
} from "../../protocol/network/sign-in.ts";
import { EXIT, type ExitCode, Failure } from "../failure.ts";
import { readWallet } from "../identity/keypair-file.ts";
import { callJson, Refused } from "../network/api.ts";
import { readSession, removeSession } from "../network/session-file.ts";
import { prove, signIn } from "../network/sign-in.ts";
import { table } from "../output/tables.ts";
import { type Context, type GlobalFlags, networkOf, settingsOf } from "./context.ts";

export interface WalletFlags extends GlobalFlags {
  readonly keypair?: string;
}

export interface LinkFlags extends WalletFlags {
  readonly recovery?: boolean;
}

const PATH = "/api/v1/wallets";

const STARTER = {
  granted: "The starter balance was granted.",
  granted_before: null,
  too_young: "No starter balance yet: Solana has not known this wallet for long enough.",
  budget_spent: "Today's starter balances are spent; sign in again tomorrow.",
  unknown: "Whether a starter balance is due is not known, as Solana could not be asked.",
} as const;

/** Where Solana's own command line keeps a wallet, unless a flag says otherwise. */
function keypairOf({ keypair }: WalletFlags): string {
  return keypair ?? join(homedir(), ".config", "solana", "id.json");
}

export async function login(context: Context, flags: WalletFlags): Promise<ExitCode> {
  const { terminal, env } = context;
  const wallet = await readWallet(keypairOf(flags));
  const settings = await networkOf(context, flags);
  const { access_token: _access, refresh_token: _refresh, ...session } = await signIn(env, settings, wallet);
  if (flags.json === true) {
    terminal.out(JSON.stringify(session));
    return EXIT.ok;
  }
  const what = session.opened ? "This wallet has opened the account" : "Signed in to the account";
  terminal.err(`${what} until ${session.expires_at.slice(0, 16)}:`);
  terminal.out(session.account);
  const said = session.recovery
    ? "This is a recovery wallet: link one that signs in with tollmill wallets link --keypair FILE."
    : session.starter && STARTER[session.starter];
  if (said !== null) terminal.err(said);
  return EXIT.ok;
}

export async function logout(context: Context, flags: GlobalFlags): Promise<ExitCode> {
  const { terminal, env } = context;
  const { url } = await networkOf(context, flags);
  const session = await readSession(env, url);
  const ended: string[] = [];
  if (session !== null) {
    const call = { method: "DELETE" } as const;
    try {
      const settings = { url, apiKey: session.access_token };
      ended.push(...(await callJson(settings, "/api/v1/auth/sessions", endedSessions, call)).ended);
    } catch (error) {
      // A session that the network does not know any more has ended.
      if (!(error instanceof Refused)) throw error;
    }
    await removeSession(env, url);
  }
  if (flags.json === true) terminal.out(JSON.stringify({ ended }));
  else terminal.err(session === null ? `There is no session with ${url}.` : `Signed out of ${url}.`);
  return EXIT.ok;
}

export async function listWallets(context: Context, flags: GlobalFlags): Promise<ExitCode> {
  const { data } = await callJson(await settingsOf(context, flags), PATH, walletList);
  const { terminal } = context;
  if (flags.json === true) {
    for (const wallet of data) terminal.out(JSON.stringify(wallet));
    return EXIT.ok;
  }
  const rows = data.map(({ address, role, linked_at }) => [
    address,
    role === "sign_in" ? "signs in" : "recovery",
    linked_at.slice(0, 16),
  ]);
  terminal.out(table(["wallet", "use", "linked"], rows));
  return EXIT.ok;
}

export async function linkOwn(context: Context, flags: LinkFlags): Promise<ExitCode> {
  const wallet = await readWallet(keypairOf(flags));
  const settings = await settingsOf(context, flags);
  const role = flags.recovery === true ? "recovery" : "sign_in";
  const proof = await prove(settings, wallet, `${PATH}/challenge`, { purpose: "link", role });
  const body = linkWallet.parse({ ...proof, role });
  const linked = await callJson(settings, PATH, walletShape, { method: "POST", body });
  if (flags.json === true) context.terminal.out(JSON.stringify(linked));
  else {
    const use = role === "sign_in" ? "signs you in now" : "restores access now, and nothing else: keep its file apart";
    context.terminal.err(`${linked.address} ${use}.`);
  }
  return EXIT.ok;
}

export async function unlinkOwn(context: Context, address: string, flags: WalletFlags): Promise<ExitCode> {
  // The address goes into a path, so nothing else may.
  if (!/^[1-9A-HJ-NP-Za-km-z]{32,44}$/.test(address)) {
    throw new Failure(
      EXIT.usage,
      `${address} is no wallet: it has 32 to 44 letters and digits, and tollmill wallets shows it.`,
    );
  }
  const signer = await readWallet(keypairOf(flags));
  const settings = await settingsOf(context, flags);
  const proof = await prove(settings, signer, `${PATH}/challenge`, { purpose: "unlink", wallet: address });
  const call = { method: "DELETE", body: proof } as const;
  const result = await callJson(settings, `${PATH}/${address}`, unlinkedWallet, call);
  if (flags.json === true) context.terminal.out(JSON.stringify(result));
  else context.terminal.err(result.unlinked ? `${address} is unlinked.` : `${address} was not linked.`);
  return EXIT.ok;
}
