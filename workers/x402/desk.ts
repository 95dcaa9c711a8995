/** The desk of the network's own node. It needs Solana's library, so who wants it imports it when a payment is there. */

import type { SolanaConfig } from "../config.ts";
import { solanaChain, solanaNode, treasuryOf } from "../deposits/solana-chain.ts";
import { paymentNode } from "./payment-node.ts";
import type { PaymentDesk } from "./settle.ts";

export { takePayment } from "./take-payment.ts";

export function paymentDesk(env: Env, { rpc, treasury, usdcMint }: SolanaConfig): PaymentDesk {
  const node = solanaNode(rpc);
  return { env, node: paymentNode(node), chain: solanaChain(node), treasury: treasuryOf(treasury, usdcMint) };
}
