/** litesvm: runs transactions on the chain's latest state. What it calls by number gets a node's names here. */

import { type Address, address, getAddressDecoder, isFullySignedTransaction, type Transaction } from "@solana/kit";
import { Clock, FailedTransactionMetadata, LiteSVM, type TransactionMetadata } from "litesvm";
import type { TransactionError } from "./errors.ts";
import { INSTRUCTION_ERRORS, TRANSACTION_ERRORS } from "./machine-errors.ts";
import { SYSTEM } from "./programs.ts";
import type { Account } from "./state/accounts.ts";
import type { Block } from "./state/blocks.ts";
import type { Execution } from "./state/history.ts";

/** Slots of an epoch, as on every cluster. */
export const SLOTS_PER_EPOCH = 432_000;

export class Machine {
  readonly #svm: LiteSVM;
  #slot = -1;

  constructor() {
    // The chain itself knows which blockhashes are recent and which transactions it has seen.
    this.#svm = new LiteSVM().withBlockhashCheck(false).withTransactionHistory(0n);
  }

  /** Sets the clock, and the hashes that the program for lookup tables wants. `kept` is oldest first. */
  moveTo({ slot }: Block, unixSeconds: number, kept: readonly Block[]): void {
    if (slot === this.#slot) return;
    this.#slot = slot;
    const epoch = BigInt(Math.floor(slot / SLOTS_PER_EPOCH));
    this.#svm.setClock(new Clock(BigInt(slot), 0n, epoch, epoch + 1n, BigInt(unixSeconds)));
    const before = kept.filter((block) => block.slot < slot).toReversed();
    this.#svm.setSlotHashes(before.map((block) => ({ slot: BigInt(block.slot), hash: block.hash })));
  }

  account(of: Address): Account | null {
    const found = this.#svm.getAccount(of);
    if (!found.exists) return null;
    const { lamports, programAddress, data, executable } = found;
    return { lamports, owner: programAddress, data: Uint8Array.from(data), executable };
  }

  setAccount(at: Address, account: Account | null): void {
    const { lamports, owner, data, executable } = account ?? NOTHING;
    this.#svm.setAccount({
      address: at,
      lamports: lamports as Parameters<LiteSVM["setAccount"]>[0]["lamports"],
      programAddress: owner,
      data,
      executable,
      space: BigInt(data.length),
    });
  }

  rentFor(bytes: number): bigint {
    return this.#svm.minimumBalanceForRentExemption(BigInt(bytes));
  }

  /** Runs a transaction and keeps what it did. */
  run(transaction: Transaction): Execution {
    if (!isFullySignedTransaction(transaction)) return UNSIGNED;
    const result = this.#svm.sendTransaction(transaction);
    if (result instanceof FailedTransactionMetadata) return execution(result.meta(), nameOf(result.err()));
    return execution(result, null);
  }

  /** Runs a transaction and forgets what it did, beside the accounts as it left them. */
  simulate(transaction: Transaction, verify: boolean): { execution: Execution; after: Map<Address, Account> } {
    if (verify && !isFullySignedTransaction(transaction)) return { execution: UNSIGNED, after: new Map() };
    this.#svm.withSigverify(verify);
    try {
      const result = this.#svm.simulateTransaction(transaction);
      if (result instanceof FailedTransactionMetadata) {
        return { execution: execution(result.meta(), nameOf(result.err())), after: new Map() };
      }
      const after = result.postAccounts().map(({ address: at, lamports, programAddress, data, executable }) => {
        return [at, { lamports, owner: programAddress, data: Uint8Array.from(data), executable }] as const;
      });
      return { execution: execution(result.meta(), null), after: new Map(after) };
    } finally {
      this.#svm.withSigverify(true);
    }
  }
}

/** litesvm throws at a signature of zeros, which is how a missing one is written. */
const UNSIGNED: Execution = { error: "SignatureFailure", logs: [], units: 0, inner: [], returned: null };

/** An account without lamports is none. */
const NOTHING: Account = { lamports: 0n, owner: SYSTEM, data: new Uint8Array(), executable: false };

function execution(meta: TransactionMetadata, error: TransactionError | null): Execution {
  const returned = meta.returnData();
  const data = Uint8Array.from(returned.data());
  return {
    error,
    logs: meta.logs(),
    units: Number(meta.computeUnitsConsumed()),
    inner: meta.innerInstructions().map((called) =>
      called.map((one) => {
        const instruction = one.instruction();
        return {
          program: instruction.programIdIndex(),
          accounts: [...instruction.accounts()],
          data: Uint8Array.from(instruction.data()),
          stackHeight: one.stackHeight(),
        };
      }),
    ),
    returned: data.length === 0 ? null : { program: address(getAddressDecoder().decode(returned.programId())), data },
  };
}

/** The name of an error that litesvm gives as a number or as an object without a kind. */
function nameOf(error: ReturnType<FailedTransactionMetadata["err"]>): TransactionError {
  if (typeof error === "number") return TRANSACTION_ERRORS[error] ?? `Unknown (${String(error)})`;
  if ("err" in error) {
    const reason = error.err();
    if (typeof reason === "number") {
      return { InstructionError: [error.index, INSTRUCTION_ERRORS[reason] ?? `Unknown (${String(reason)})`] };
    }
    return { InstructionError: [error.index, "code" in reason ? { Custom: reason.code } : "BorshIoError"] };
  }
  if ("index" in error) return { DuplicateInstruction: error.index };
  return error.toString().includes("InsufficientFundsForRent")
    ? { InsufficientFundsForRent: { account_index: error.accountIndex } }
    : { ProgramExecutionTemporarilyRestricted: { account_index: error.accountIndex } };
}
