/** Methods that know tokens: what an owner has, and how much there is. */

import { z } from "zod";
import { encodeAccount } from "../encoding/accounts.ts";
import { uiAmount } from "../encoding/amounts.ts";
import { isTokenProgram, mintOf, tokenAmount, tokenOf } from "../encoding/tokens.ts";
import { invalidParams } from "../errors.ts";
import { TOKEN, TOKEN_2022 } from "../programs.ts";
import { accountOptions, type Method, method, pubkey, readOptions } from "./method.ts";

/** Which token accounts of an owner: of one mint, or of one token program. */
const chosenBy = z.union([z.object({ mint: pubkey }), z.object({ programId: pubkey })]);

export const tokenMethods: Readonly<Record<string, Method>> = {
  getTokenAccountsByOwner: method(
    z.tuple([pubkey, chosenBy, accountOptions.optional()]),
    ({ view }, [owner, by, options = {}]) => {
      const state = view.read(options);
      if ("programId" in by && !isTokenProgram(by.programId)) throw invalidParams("unrecognized Token program id");
      if ("mint" in by && mintOf(state.account(by.mint)) === null) throw invalidParams("could not find mint");
      const programs = "programId" in by ? [by.programId] : [TOKEN, TOKEN_2022];
      const found = programs
        .flatMap((program) => [...state.ownedBy(program)])
        .filter(([, account]) => {
          const token = tokenOf(account);
          return token?.owner === owner && ("programId" in by || token.mint === by.mint);
        });
      return state.answer(
        found.map(([address, account]) => ({
          pubkey: address,
          account: encodeAccount(account, options, (of) => state.account(of)),
        })),
      );
    },
  ),

  getTokenAccountBalance: method(z.tuple([pubkey, readOptions.optional()]), ({ view }, [address, options]) => {
    const state = view.read(options);
    const account = state.account(address);
    if (account === null) throw invalidParams("could not find account");
    const token = tokenOf(account);
    if (token === null) throw invalidParams("not a Token account");
    return state.answer(tokenAmount(token, (of) => state.account(of)));
  }),

  getTokenSupply: method(z.tuple([pubkey, readOptions.optional()]), ({ view }, [address, options]) => {
    const state = view.read(options);
    const account = state.account(address);
    if (account === null) throw invalidParams("could not find account");
    const mint = mintOf(account);
    if (mint === null) throw invalidParams("not a Token mint");
    return state.answer(uiAmount(mint.supply, mint.decimals));
  }),
};
