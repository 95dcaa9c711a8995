/** Signs receipts and hands them to the queue, packed (architecture.md, step 6). */

import { LIMITS } from "../../core/limits.ts";
import { receiptBytes } from "../../core/receipt/body.ts";
import { utf8ToBytes } from "../../core/receipt/canonical.ts";
import type { ReceiptsMessage } from "../../protocol/internal/queue.ts";
import type { SignedReceipt } from "../../protocol/receipt.ts";
import { networkKey } from "./network-key.ts";

/** The network's signature over a receipt's canonical text. */
export async function signReceipt(env: { readonly NETWORK_SEED: string }, body: string): Promise<SignedReceipt> {
  const key = await networkKey(env);
  return { body, key: key.publicKey, signature: await key.sign(receiptBytes(body)) };
}

/** Divides receipts into messages that the queue takes, in order. */
export function packReceipts(receipts: readonly SignedReceipt[]): ReceiptsMessage[] {
  const messages: SignedReceipt[][] = [];
  let open: SignedReceipt[] = [];
  let bytes = 0;
  for (const receipt of receipts) {
    // A body is canonical JSON inside a JSON string: each of its quotes gets a backslash.
    const size = utf8ToBytes(JSON.stringify(receipt)).length + 1;
    if (open.length > 0 && bytes + size > LIMITS.queueMessageBytes) {
      messages.push(open);
      open = [];
      bytes = 0;
    }
    open.push(receipt);
    bytes += size;
  }
  if (open.length > 0) messages.push(open);
  return messages.map((packed) => ({ v: 1, receipts: packed }));
}
