/** Who had more and who had less after a transaction. */

import type { Address } from "@solana/kit";
import { decimalText } from "../encoding/amounts.ts";
import { tokenOf } from "../encoding/tokens.ts";
import { ONE_MINT, SOL_DECIMALS, USDC_MINT } from "../mints.ts";
import type { Landed } from "../state/history.ts";

interface Change {
  /** The owner, for tokens. */
  readonly address: Address;
  readonly coin: string;
  /** With its sign. */
  readonly text: string;
}

export function changesOf({ keys, before, after, decimals }: Landed): Change[] {
  return keys.flatMap(({ address }, index) => {
    const [old, now] = [before[index] ?? null, after[index] ?? null];
    const sol = (now?.lamports ?? 0n) - (old?.lamports ?? 0n);
    const [oldToken, newToken] = [tokenOf(old), tokenOf(now)];
    const token = newToken ?? oldToken;
    const moved = (newToken?.amount ?? 0n) - (oldToken?.amount ?? 0n);
    return [
      ...(sol === 0n ? [] : [{ address, coin: "SOL", text: signed(sol, SOL_DECIMALS) }]),
      ...(token === null || moved === 0n
        ? []
        : [{ address: token.owner, coin: tokenText(token.mint), text: signed(moved, decimals.get(token.mint) ?? 0) }]),
    ];
  });
}

/** What a mint's coins are called. */
export function tokenText(mint: Address): string {
  if (mint === USDC_MINT) return "USDC";
  return mint === ONE_MINT ? "$ONE" : mint;
}

function signed(amount: bigint, decimals: number): string {
  return amount < 0n ? `−${decimalText(-amount, decimals)}` : `+${decimalText(amount, decimals)}`;
}
