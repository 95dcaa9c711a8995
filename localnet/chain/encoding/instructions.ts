/** Instructions in the form `jsonParsed`: those of the system, token, associated token and memo programs by name. */

import { AccountRole, type Address, getBase58Decoder } from "@solana/kit";
import {
  identifySystemInstruction,
  parseCreateAccountInstruction,
  parseTransferSolInstruction,
  SystemInstruction,
} from "@solana-program/system";
import {
  AssociatedTokenInstruction,
  parseAssociatedTokenInstruction,
  parseTokenInstruction,
  TokenInstruction,
} from "@solana-program/token";
import { ASSOCIATED_TOKEN, MEMO_PROGRAMS, SYSTEM, TOKEN } from "../programs.ts";
import { uiAmount } from "./amounts.ts";

/** An instruction with addresses instead of places. */
export interface ResolvedInstruction {
  readonly program: Address;
  readonly accounts: readonly Address[];
  readonly data: Uint8Array;
  readonly stackHeight: number;
}

/** By name where it is known, else with its data in base58. */
export function parseInstruction(instruction: ResolvedInstruction): object {
  const { program: programId, accounts, data, stackHeight } = instruction;
  const known = named(instruction);
  if (known !== null) return { ...known, programId, stackHeight };
  return { programId, accounts, data: getBase58Decoder().decode(data), stackHeight };
}

function named(instruction: ResolvedInstruction): { program: string; parsed: unknown } | null {
  const { program, data } = instruction;
  if (MEMO_PROGRAMS.has(program)) return { program: "spl-memo", parsed: new TextDecoder().decode(data) };
  try {
    if (program === TOKEN) return wrap("spl-token", token(instruction));
    if (program === ASSOCIATED_TOKEN) return wrap("spl-associated-token-account", associated(instruction));
    return program === SYSTEM ? wrap("system", system(instruction)) : null;
  } catch {
    // Malformed ones fail on the chain; here they are shown as they are.
    return null;
  }
}

type Parsed = { readonly type: string; readonly info: object } | null;

function wrap(program: string, parsed: Parsed): { program: string; parsed: Parsed } | null {
  return parsed === null ? null : { program, parsed };
}

/** What the generated parsers want: they read the accounts by their order alone. */
function asInput({ program, accounts, data }: ResolvedInstruction) {
  const list = accounts.map((address) => ({ address, role: AccountRole.READONLY }));
  return { programAddress: program, accounts: list, data };
}

/** Who signs: one authority, or one of several signers that stand behind the others. */
function signedBy(name: string, authority: Address, signers: readonly Address[]): object {
  if (signers.length === 0) return { [name]: authority };
  return { [`multisig${name.charAt(0).toUpperCase()}${name.slice(1)}`]: authority, signers };
}

function token(instruction: ResolvedInstruction): Parsed {
  const read = parseTokenInstruction(asInput(instruction));
  const { accounts } = instruction;
  switch (read.instructionType) {
    case TokenInstruction.Transfer: {
      const { source, destination, authority } = read.accounts;
      const by = signedBy("authority", authority.address, accounts.slice(3));
      const amount = read.data.amount.toString();
      return { type: "transfer", info: { source: source.address, destination: destination.address, amount, ...by } };
    }
    case TokenInstruction.TransferChecked: {
      const { source, mint, destination, authority } = read.accounts;
      const by = signedBy("authority", authority.address, accounts.slice(4));
      const tokenAmount = uiAmount(read.data.amount, read.data.decimals);
      const ends = { source: source.address, mint: mint.address, destination: destination.address };
      return { type: "transferChecked", info: { ...ends, tokenAmount, ...by } };
    }
    case TokenInstruction.MintTo: {
      const { mint, token: account, mintAuthority } = read.accounts;
      const by = signedBy("mintAuthority", mintAuthority.address, accounts.slice(3));
      const amount = read.data.amount.toString();
      return { type: "mintTo", info: { mint: mint.address, account: account.address, amount, ...by } };
    }
    case TokenInstruction.CloseAccount: {
      const { account, destination, owner } = read.accounts;
      const by = signedBy("owner", owner.address, accounts.slice(3));
      return { type: "closeAccount", info: { account: account.address, destination: destination.address, ...by } };
    }
    case TokenInstruction.InitializeAccount3: {
      const { account, mint } = read.accounts;
      return {
        type: "initializeAccount3",
        info: { account: account.address, mint: mint.address, owner: read.data.owner },
      };
    }
    case TokenInstruction.InitializeImmutableOwner:
      return { type: "initializeImmutableOwner", info: { account: read.accounts.account.address } };
    default:
      return null;
  }
}

const CREATE = 0;

function associated(instruction: ResolvedInstruction): Parsed {
  // The program's first instruction came without data, and clients still write it so.
  const data = instruction.data.length === 0 ? Uint8Array.of(CREATE) : instruction.data;
  const read = parseAssociatedTokenInstruction(asInput({ ...instruction, data }));
  if (read.instructionType === AssociatedTokenInstruction.RecoverNestedAssociatedToken) return null;
  const type =
    read.instructionType === AssociatedTokenInstruction.CreateAssociatedToken ? "create" : "createIdempotent";
  const { payer, ata, owner, mint, systemProgram, tokenProgram } = read.accounts;
  return {
    type,
    info: {
      source: payer.address,
      account: ata.address,
      wallet: owner.address,
      mint: mint.address,
      systemProgram: systemProgram.address,
      tokenProgram: tokenProgram.address,
    },
  };
}

function system(instruction: ResolvedInstruction): Parsed {
  const input = asInput(instruction);
  switch (identifySystemInstruction(instruction.data)) {
    case SystemInstruction.TransferSol: {
      const { accounts, data } = parseTransferSolInstruction(input);
      const { source, destination } = accounts;
      const lamports = Number(data.amount);
      return { type: "transfer", info: { source: source.address, destination: destination.address, lamports } };
    }
    case SystemInstruction.CreateAccount: {
      const { accounts, data } = parseCreateAccountInstruction(input);
      const ends = { source: accounts.payer.address, newAccount: accounts.newAccount.address };
      const size = { lamports: Number(data.lamports), space: Number(data.space), owner: data.programAddress };
      return { type: "createAccount", info: { ...ends, ...size } };
    }
    default:
      return null;
  }
}
