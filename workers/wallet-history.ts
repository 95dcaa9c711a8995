/** Since when a wallet has been in use, as Solana's finalized history tells. */

import { z } from "zod";
import type { WalletAddress } from "../core/ids.ts";
import { LIMITS } from "../core/limits.ts";

export interface WalletHistory {
  /** Whether a finalized transaction from before a time (ms) names the wallet. Throws where nobody can tell. */
  isKnownBefore(address: WalletAddress, time: number): Promise<boolean>;
}

/** Signatures of one call: what nodes give at most. */
const PAGE = 1_000;
/** A wallet with more than ten thousand transactions since is a program's, and is not looked into any further. */
const PAGES = 10;

const answer = z.object({
  result: z.array(z.object({ signature: z.string(), blockTime: z.number().nullable().optional() })),
});

/** Reads histories over Solana's JSON-RPC. Errors name no address of the node, as that may hold a key. */
export class SolanaHistory implements WalletHistory {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  async isKnownBefore(address: WalletAddress, time: number): Promise<boolean> {
    const signal = AbortSignal.timeout(LIMITS.walletHistoryMs);
    let before: string | undefined;
    for (let page = 0; page < PAGES; page++) {
      const signatures = await this.#signatures(address, before, signal);
      const oldest = signatures.findLast(({ blockTime }) => typeof blockTime === "number")?.blockTime;
      if (typeof oldest === "number" && oldest * 1_000 < time) return true;
      if (signatures.length < PAGE) return false;
      before = signatures.at(-1)?.signature;
    }
    return false;
  }

  /** A page of the transactions that name an address, newest first. */
  async #signatures(address: WalletAddress, before: string | undefined, signal: AbortSignal) {
    const options = { commitment: "finalized", limit: PAGE, ...(before === undefined ? {} : { before }) };
    const call = { jsonrpc: "2.0", id: 1, method: "getSignaturesForAddress", params: [address, options] };
    const headers = { "content-type": "application/json" };
    const response = await fetch(this.#url, { method: "POST", headers, body: JSON.stringify(call), signal });
    const parsed = answer.safeParse(await response.json().catch(() => null));
    if (!parsed.success)
      throw new Error(`Solana's node answered with status ${response.status} and no list of signatures`);
    return parsed.data.result;
  }
}
