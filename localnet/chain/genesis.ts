/**
 * What the chain begins with: a faucet that has SOL, and the two mints, whose authority it is; the treasury's token account
 * for USDC, and SOL for the fees that the network pays.
 */

import type { Address } from "@solana/kit";
import { AccountState, getMintEncoder, getMintSize, getTokenEncoder, getTokenSize } from "@solana-program/token";
import { associatedTokenAddress } from "../../protocol/solana/token-account.ts";
import type { LocalChain } from "./local-chain.ts";
import { FAUCET, ONE_DECIMALS, ONE_MINT, TREASURY, USDC_DECIMALS, USDC_MINT, X402_FEE_PAYER } from "./mints.ts";
import { SYSTEM, TOKEN } from "./programs.ts";

/** Five million SOL: below 2^53 lamports, so that JSON shows it to the last one. */
const FAUCET_LAMPORTS = 5_000_000_000_000_000n;
/** A hundred SOL: millions of payments. */
const FEE_LAMPORTS = 100_000_000_000n;

/** Writes the first accounts. */
export function begin(chain: LocalChain): void {
  const purse = { owner: SYSTEM, data: new Uint8Array(), executable: false };
  chain.setAccount(FAUCET, { ...purse, lamports: FAUCET_LAMPORTS });
  chain.setAccount(X402_FEE_PAYER, { ...purse, lamports: FEE_LAMPORTS });
  for (const [mint, decimals] of [[USDC_MINT, USDC_DECIMALS] as const, [ONE_MINT, ONE_DECIMALS] as const]) {
    const fields = { mintAuthority: FAUCET, supply: 0n, decimals, isInitialized: true, freezeAuthority: null };
    const data = Uint8Array.from(getMintEncoder().encode(fields));
    chain.setAccount(mint, { lamports: chain.rentFor(getMintSize()), owner: TOKEN, data, executable: false });
  }
  const fields = { mint: USDC_MINT, owner: TREASURY, amount: 0n, delegatedAmount: 0n, state: AccountState.Initialized };
  const data = getTokenEncoder().encode({ ...fields, delegate: null, isNative: null, closeAuthority: null });
  chain.setAccount(associatedTokenAddress(TREASURY, USDC_MINT) as Address, {
    lamports: chain.rentFor(getTokenSize()),
    owner: TOKEN,
    data: Uint8Array.from(data),
    executable: false,
  });
}
