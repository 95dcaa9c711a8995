/** Token accounts and mints, read from the bytes that the token program keeps. */

import { type Address, isSome, type Option } from "@solana/kit";
import { AccountState, getMintDecoder, getTokenDecoder, type Mint, type Token } from "@solana-program/token";
import { TOKEN, TOKEN_2022 } from "../programs.ts";
import type { Account } from "../state/accounts.ts";
import { type UiAmount, uiAmount } from "./amounts.ts";

const MINT_BYTES = 82;
const TOKEN_BYTES = 165;
/** Token-2022 writes the kind of an account with extensions behind the room of a token account. */
const MINT_KIND = 1;

/** Whether a program keeps tokens. */
export function isTokenProgram(program: Address): boolean {
  return program === TOKEN || program === TOKEN_2022;
}

export function tokenOf(account: Account | null): Token | null {
  if (account === null || !isTokenProgram(account.owner) || account.data.length < TOKEN_BYTES) return null;
  if (account.data[TOKEN_BYTES] === MINT_KIND) return null;
  const token = getTokenDecoder().decode(account.data.subarray(0, TOKEN_BYTES));
  return token.state === AccountState.Uninitialized ? null : token;
}

export function mintOf(account: Account | null): Mint | null {
  if (account === null || !isTokenProgram(account.owner)) return null;
  const { data } = account;
  if (data.length !== MINT_BYTES && data[TOKEN_BYTES] !== MINT_KIND) return null;
  const mint = getMintDecoder().decode(data.subarray(0, MINT_BYTES));
  return mint.isInitialized ? mint : null;
}

/** How to find accounts at the slot that is read. */
export type Read = (address: Address) => Account | null;

/** The balance of a token account with the decimals of its mint. */
export function tokenAmount(token: Token, read: Read): UiAmount {
  return uiAmount(token.amount, mintOf(read(token.mint))?.decimals ?? 0);
}

const STATES: Readonly<Record<AccountState, string>> = {
  [AccountState.Uninitialized]: "uninitialized",
  [AccountState.Initialized]: "initialized",
  [AccountState.Frozen]: "frozen",
};

/** The data of a token account or a mint in the form `jsonParsed`; null for anything else. */
export function parsedToken(account: Account, read: Read): { program: string; parsed: object; space: number } | null {
  const program = account.owner === TOKEN ? "spl-token" : "spl-token-2022";
  const space = account.data.length;
  const token = tokenOf(account);
  if (token !== null) {
    const delegate = value(token.delegate);
    const closeAuthority = value(token.closeAuthority);
    const { decimals, ...amount } = tokenAmount(token, read);
    const info = {
      isNative: isSome(token.isNative),
      mint: token.mint,
      owner: token.owner,
      state: STATES[token.state],
      tokenAmount: { decimals, ...amount },
      ...(delegate === null ? {} : { delegate, delegatedAmount: uiAmount(token.delegatedAmount, decimals) }),
      ...(closeAuthority === null ? {} : { closeAuthority }),
    };
    return { program, parsed: { type: "account", info }, space };
  }
  const mint = mintOf(account);
  if (mint === null) return null;
  const info = {
    decimals: mint.decimals,
    freezeAuthority: value(mint.freezeAuthority),
    isInitialized: mint.isInitialized,
    mintAuthority: value(mint.mintAuthority),
    supply: mint.supply.toString(),
  };
  return { program, parsed: { type: "mint", info }, space };
}

function value<T>(option: Option<T>): T | null {
  return isSome(option) ? option.value : null;
}
