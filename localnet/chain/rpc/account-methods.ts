/** Methods that read accounts. */

import { getBase58Encoder } from "@solana/kit";
import { z } from "zod";
import { encodeAccount } from "../encoding/accounts.ts";
import { invalidParams } from "../errors.ts";
import type { Account } from "../state/accounts.ts";
import {
  type AccountFilter,
  accountOptions,
  type Method,
  method,
  programOptions,
  pubkey,
  readOptions,
} from "./method.ts";

/** So many accounts a call takes, as on public nodes. */
const MAX_ACCOUNTS = 100;

export const accountMethods: Readonly<Record<string, Method>> = {
  getBalance: method(z.tuple([pubkey, readOptions.optional()]), ({ view }, [address, options]) => {
    const state = view.read(options);
    return state.answer(Number(state.account(address)?.lamports ?? 0n));
  }),

  getAccountInfo: method(z.tuple([pubkey, accountOptions.optional()]), ({ view }, [address, options = {}]) => {
    const state = view.read(options);
    const account = state.account(address);
    return state.answer(account === null ? null : encodeAccount(account, options, (of) => state.account(of)));
  }),

  getMultipleAccounts: method(
    z.tuple([z.array(pubkey), accountOptions.optional()]),
    ({ view }, [addresses, options = {}]) => {
      if (addresses.length > MAX_ACCOUNTS) throw invalidParams(`Too many inputs provided; max ${MAX_ACCOUNTS}`);
      const state = view.read(options);
      const encode = (account: Account) =>
        encodeAccount(account, { encoding: "base64", ...options }, (of) => state.account(of));
      const accounts = addresses.map((address) => state.account(address));
      return state.answer(accounts.map((account) => (account === null ? null : encode(account))));
    },
  ),

  getProgramAccounts: method(z.tuple([pubkey, programOptions.optional()]), ({ view }, [program, options = {}]) => {
    const state = view.read(options);
    const tests = (options.filters ?? []).map(testOf);
    const found = [...state.ownedBy(program)].filter(([, account]) => tests.every((passes) => passes(account)));
    const list = found.map(([address, account]) => ({
      pubkey: address,
      account: encodeAccount(account, options, (of) => state.account(of)),
    }));
    return options.withContext === true ? state.answer(list) : list;
  }),
};

function testOf(filter: AccountFilter): (account: Account) => boolean {
  if ("dataSize" in filter) return ({ data }) => data.length === filter.dataSize;
  const { offset, bytes, encoding } = filter.memcmp;
  const wanted = encoding === "base64" ? Buffer.from(bytes, "base64") : fromBase58(bytes);
  return ({ data }) => Buffer.from(data.subarray(offset, offset + wanted.length)).equals(wanted);
}

function fromBase58(text: string): Uint8Array {
  try {
    return Uint8Array.from(getBase58Encoder().encode(text));
  } catch {
    throw invalidParams("filters: bytes must be base58");
  }
}
