/** A wallet in a file, as `solana-keygen` writes it: a JSON array of 64 bytes, the seed and the public key. */

import { createPrivateKey, createPublicKey, sign } from "node:crypto";
import { readFile } from "node:fs/promises";
import { base58 } from "@scure/base";
import { z } from "zod";
import type { WalletAddress } from "../../core/ids.ts";
import { parseBase64url } from "../../core/keys.ts";
import { EXIT, Failure, systemCode } from "../failure.ts";

export interface Wallet {
  readonly address: WalletAddress;
  /** The signature over a text's UTF-8, in base58. */
  readonly sign: (text: string) => string;
}

const bytes64 = z.array(z.int().min(0).max(255)).length(64);
/** What stands before the seed in the DER of a private key of Ed25519 (RFC 8410). */
const DER_HEAD = Buffer.from("302e020100300506032b657004220420", "hex");

/** Reads a wallet. Throws a {@link Failure} that names the file and repeats nothing of it. */
export async function readWallet(path: string): Promise<Wallet> {
  const bytes = Buffer.from(await readBytes(path));
  const [seed, publicKey] = [bytes.subarray(0, 32), bytes.subarray(32)];
  const key = createPrivateKey({ key: Buffer.concat([DER_HEAD, seed]), format: "der", type: "pkcs8" });
  const real = parseBase64url(createPublicKey(key).export({ format: "jwk" }).x ?? "", 32);
  if (real === null || !publicKey.equals(real)) {
    throw new Failure(EXIT.usage, `${path} is damaged: its second half is not the public key of its first.`);
  }
  return {
    address: base58.encode(real) as WalletAddress,
    sign: (text) => base58.encode(sign(null, Buffer.from(text), key)),
  };
}

async function readBytes(path: string): Promise<number[]> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    const reason = systemCode(error) ?? "unknown";
    throw new Failure(EXIT.usage, `The keypair ${path} cannot be read (${reason}). Name one with --keypair.`);
  }
  try {
    return bytes64.parse(JSON.parse(text));
  } catch {
    throw new Failure(EXIT.usage, `${path} is no keypair as solana-keygen writes it: a JSON array of 64 bytes.`);
  }
}
