/** Reading what wallets have of a coin: a hundred token accounts a call, each call at one finalized slot. */

import { LIMITS } from "../../core/limits.ts";
import { type StakeUnits, stakeUnits } from "../../core/units.ts";
import { accountsAnswer, slot } from "../../protocol/solana/answers.ts";
import { parseTokenAccount, TOKEN_ACCOUNT_HEAD_BYTES, TOKEN_PROGRAM } from "../../protocol/solana/token-account.ts";
import { RpcFailure, type SolanaRpc } from "./rpc.ts";

/** A wallet with its associated token account. */
export interface Holder {
  readonly wallet: string;
  readonly tokenAccount: string;
}

export interface Balance {
  readonly slot: number;
  readonly amount: StakeUnits;
}

/** The latest finalized slot, as one node knows it. Throws a {@link RpcFailure}. */
export async function finalizedSlot(rpc: SolanaRpc): Promise<number> {
  return await rpc.one({ method: "getSlot", params: [{ commitment: "finalized" }], answer: slot });
}

/**
 * The finalized balance of each holder, in their order, at a slot that is not before `minSlot`. An account that does not
 * exist, is not the token program's, is of another mint or was given to another owner has none. Throws a {@link RpcFailure}.
 */
export async function balancesOf(
  rpc: SolanaRpc,
  mint: string,
  holders: readonly Holder[],
  minSlot: number,
): Promise<Balance[]> {
  const pages: (readonly Holder[])[] = [];
  for (let start = 0; start < holders.length; start += LIMITS.rpcAccounts) {
    pages.push(holders.slice(start, start + LIMITS.rpcAccounts));
  }
  const options = {
    commitment: "finalized",
    minContextSlot: minSlot,
    encoding: "base64",
    dataSlice: { offset: 0, length: TOKEN_ACCOUNT_HEAD_BYTES },
  };
  const answers = await rpc.all(
    pages.map((page) => {
      const addresses = page.map(({ tokenAccount }) => tokenAccount);
      return { method: "getMultipleAccounts", params: [addresses, options], answer: accountsAnswer };
    }),
  );
  return answers.flatMap(({ context, value }, index) => {
    const page = pages[index] ?? [];
    if (value.length !== page.length) throw new RpcFailure("getMultipleAccounts answered for other accounts", false);
    if (context.slot < minSlot) throw new RpcFailure("getMultipleAccounts answered from an earlier slot", true);
    return page.map(({ wallet }, place) => ({
      slot: context.slot,
      amount: amountOf(value[place] ?? null, wallet, mint),
    }));
  });
}

function amountOf(account: { owner: string; data: Uint8Array } | null, wallet: string, mint: string): StakeUnits {
  const token = account?.owner === TOKEN_PROGRAM ? parseTokenAccount(account.data) : null;
  return token?.mint === mint && token.owner === wallet ? token.amount : stakeUnits(0n);
}
