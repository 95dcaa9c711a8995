/** What the chain begins with: a faucet that has SOL, and the two mints, whose authority it is. */

import { getMintEncoder, getMintSize } from "@solana-program/token";
import type { LocalChain } from "./local-chain.ts";
import { FAUCET, ONE_DECIMALS, ONE_MINT, USDC_DECIMALS, USDC_MINT } from "./mints.ts";
import { SYSTEM, TOKEN } from "./programs.ts";

/** Five million SOL: below 2^53 lamports, so that JSON shows it to the last one. */
const FAUCET_LAMPORTS = 5_000_000_000_000_000n;

/** Writes the first accounts. */
export function begin(chain: LocalChain): void {
  chain.setAccount(FAUCET, { lamports: FAUCET_LAMPORTS, owner: SYSTEM, data: new Uint8Array(), executable: false });
  for (const [mint, decimals] of [[USDC_MINT, USDC_DECIMALS] as const, [ONE_MINT, ONE_DECIMALS] as const]) {
    const fields = { mintAuthority: FAUCET, supply: 0n, decimals, isInitialized: true, freezeAuthority: null };
    const data = Uint8Array.from(getMintEncoder().encode(fields));
    chain.setAccount(mint, { lamports: chain.rentFor(getMintSize()), owner: TOKEN, data, executable: false });
  }
}
