/** Agents with a wallet on a local Solana, and x402's own client as it comes from the registry. */

import { setTimeout as sleep } from "node:timers/promises";
import { address, generateKeyPairSigner } from "@solana/kit";
import { wrapFetchWithPayment, x402Client, x402HTTPClient } from "@x402/fetch";
import { ExactSvmScheme } from "@x402/svm/exact/client";
import { USDC_MINT, X402_FEE_PAYER_SEED } from "../../../localnet/chain/mints.ts";
import type { RunningChain } from "../../../localnet/chain/start-chain.ts";

/** The network under which clients know the local chain (docs/decisions/0041). */
export const NETWORK = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1";

/** What a network is told so that it takes payments on a chain. */
export const paidOn = (chain: RunningChain) => ({ SOLANA_RPC_URL: chain.url, X402_FEE_PAYER_SEED });

const CONFIRMED_SLOTS = 2;
const POLL_MS = 10;

export type Choice = "topup" | "starter" | "team";

export interface Agent {
  /** The client's fetch: pays what a 402 asks for, and calls again. */
  readonly fetch: typeof fetch;
  /** A header that pays for a 402, for whoever sends it by themselves. */
  readonly pay: (refused: Response) => Promise<Record<string, string>>;
  /** USDC that it has, as the latest block has it. */
  readonly usdc: () => Promise<string>;
}

/** An agent with so much USDC, and no SOL: the network pays its fees. It chooses a package, or the top-up. */
export async function agentOn(chain: RunningChain, usdc: string, choice: Choice = "topup"): Promise<Agent> {
  const signer = await generateKeyPairSigner();
  await chain.faucet.give({ address: signer.address, usdc });
  // What is not confirmed yet cannot be paid with.
  const { slot } = chain.chain;
  while (chain.chain.slot < slot + CONFIRMED_SLOTS) await sleep(POLL_MS);
  const client = new x402Client((_version, accepts) => {
    const chosen = accepts.find(({ extra }) => (extra["package"] ?? extra["kind"]) === choice);
    if (chosen === undefined) throw new Error(`nothing of ${accepts.length} is a ${choice}`);
    return chosen;
  });
  client.setSpendControls({ allowedAssets: [{ network: NETWORK, asset: USDC_MINT }] });
  client.register("solana:*", new ExactSvmScheme(signer, { rpcUrl: chain.url }));
  const http = new x402HTTPClient(client);
  return {
    fetch: wrapFetchWithPayment(fetch, client),
    pay: async (refused) => {
      const required = http.getPaymentRequiredResponse((name) => refused.headers.get(name));
      return http.encodePaymentSignatureHeader(await client.createPaymentPayload(required));
    },
    usdc: async () => (await chain.faucet.balance(address(signer.address))).usdc,
  };
}
