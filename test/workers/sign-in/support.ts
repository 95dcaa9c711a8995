/** Signing in as wallets do. */

import { type TestWallet, walletOf } from "../../support/wallet.ts";
import { type Answer, type Call, call } from "../api/support.ts";

/** A challenge that a wallet was given. */
export async function challengeOf(wallet: TestWallet, options: Call = {}): Promise<{ message: string; input: object }> {
  return (await call("/api/v1/auth/challenge", { ...options, body: { address: wallet.address } })).json;
}

/** The answer to a message, signed by its wallet or another one. */
export function proofOf(wallet: TestWallet, message: string, signer = wallet) {
  return { address: wallet.address, message, signature: signer.sign(message) };
}

export function verify(body: object, options: Call = {}): Promise<Answer> {
  return call("/api/v1/auth/verify", { ...options, body });
}

/** Signs a wallet in and gives the answer. */
export async function signIn(name: string, more: object = {}, options: Call = {}): Promise<Answer> {
  const wallet = walletOf(name);
  const { message } = await challengeOf(wallet, options);
  return await verify({ ...proofOf(wallet, message), ...more }, options);
}

export const codeOf = ({ status, json }: Answer): unknown[] => [status, json.code];
