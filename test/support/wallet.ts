/** Wallets as people have them: a keypair that signs what it is given. */

import { ed25519 } from "@noble/curves/ed25519.js";
import { base58 } from "@scure/base";
import type { WalletAddress } from "../../core/ids.ts";
import { utf8ToBytes } from "../../core/receipt/canonical.ts";
import { seedOf } from "./receipts.ts";

export interface TestWallet {
  readonly address: WalletAddress;
  /** The signature over a text, in base58. */
  sign(text: string): string;
  /** The 64 bytes that `solana-keygen` writes: seed and public key. */
  readonly secretKey: Uint8Array;
}

/** The wallet of a name: the same one for the same name. */
export function walletOf(name: string): TestWallet {
  const seed = seedOf(`wallet ${name}`).subarray(0, 32);
  const publicKey = ed25519.getPublicKey(seed);
  return {
    address: base58.encode(publicKey) as WalletAddress,
    sign: (text) => base58.encode(ed25519.sign(utf8ToBytes(text), seed)),
    secretKey: new Uint8Array([...seed, ...publicKey]),
  };
}
