import type { Address } from "@solana/kit";
import { getAssociatedTokenAddressSync } from "@solana/spl-token";
import { Keypair, PublicKey } from "@solana/web3.js";
import { AccountState, getTokenEncoder } from "@solana-program/token";
import { describe, expect, it } from "vitest";
import {
  associatedTokenAddress,
  parseTokenAccount,
  TOKEN_ACCOUNT_HEAD_BYTES,
} from "../../../protocol/solana/token-account.ts";

const key = (seed: number) => Keypair.fromSeed(new Uint8Array(32).fill(seed)).publicKey;
const MINT = key(1);

describe("the associated token account", () => {
  it("is where Solana's own library says, also of a wallet that is a program's", () => {
    const wallets = [
      ...Array.from({ length: 60 }, (_, index) => key(index + 2)),
      new PublicKey(new Uint8Array(32).fill(7)),
    ];
    for (const wallet of wallets) {
      const expected = getAssociatedTokenAddressSync(MINT, wallet, true).toBase58();
      expect(associatedTokenAddress(wallet.toBase58(), MINT.toBase58())).toBe(expected);
    }
  });

  it("is nowhere for what is no address", () => {
    for (const wrong of ["", "0", "abc", `${key(2).toBase58()}1`]) {
      expect(associatedTokenAddress(wrong, MINT.toBase58())).toBeNull();
    }
    expect(() => associatedTokenAddress(key(2).toBase58(), "mint")).toThrow("no address of a mint");
  });
});

describe("a token account's bytes", () => {
  it("are its mint, its owner and its amount to the last unit of 64 bits", () => {
    const encoded = getTokenEncoder().encode({
      mint: MINT.toBase58() as Address,
      owner: key(2).toBase58() as Address,
      amount: 2n ** 64n - 2n,
      delegate: null,
      state: AccountState.Initialized,
      isNative: null,
      delegatedAmount: 0n,
      closeAuthority: null,
    });
    const head = Uint8Array.from(encoded).subarray(0, TOKEN_ACCOUNT_HEAD_BYTES);
    const expected = { mint: MINT.toBase58(), owner: key(2).toBase58(), amount: 2n ** 64n - 2n };
    expect(parseTokenAccount(head)).toEqual(expected);
    expect(parseTokenAccount(head.subarray(1))).toBeNull();
    expect(parseTokenAccount(new Uint8Array())).toBeNull();
  });
});
