/** Errors of transactions and of calls, under the names, numbers and words that a Solana node gives them. */

/** As JSON-RPC shows it. */
export type TransactionError =
  | string
  | { readonly InstructionError: readonly [number, string | { readonly Custom: number }] }
  | { readonly InsufficientFundsForRent: { readonly account_index: number } }
  | { readonly ProgramExecutionTemporarilyRestricted: { readonly account_index: number } }
  | { readonly DuplicateInstruction: number };

export const RPC_CODE = {
  parse: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  internal: -32603,
  preflightFailure: -32002,
  signatureVerification: -32003,
  blockNotAvailable: -32004,
  unsupportedVersion: -32015,
  minContextSlot: -32016,
} as const;

/** A call that is refused. */
export class RpcError extends Error {
  readonly code: number;
  readonly data: unknown;

  constructor(code: number, message: string, data?: unknown) {
    super(message);
    this.code = code;
    this.data = data;
  }
}

export function invalidParams(message: string): RpcError {
  return new RpcError(RPC_CODE.invalidParams, `Invalid params: ${message}`);
}

const TRANSACTION_TEXTS: Readonly<Record<string, string>> = {
  AccountNotFound: "Attempt to debit an account but found no record of a prior credit.",
  AddressLookupTableNotFound: "Transaction loads an address table account that doesn't exist",
  AlreadyProcessed: "This transaction has already been processed",
  BlockhashNotFound: "Blockhash not found",
  InsufficientFundsForFee: "Insufficient funds for fee",
  InvalidAddressLookupTableData: "Transaction loads an address table account with invalid data",
  InvalidAddressLookupTableIndex: "Transaction address table lookup uses an invalid index",
  InvalidAddressLookupTableOwner: "Transaction loads an address table account with an invalid owner",
  ProgramAccountNotFound: "Attempt to load a program that does not exist",
  SanitizeFailure: "Transaction failed to sanitize accounts offsets correctly",
  SignatureFailure: "Transaction did not pass signature verification",
};

const INSTRUCTION_TEXTS: Readonly<Record<string, string>> = {
  AccountAlreadyInitialized: "instruction requires an uninitialized account",
  AccountDataTooSmall: "account data too small for instruction",
  IllegalOwner: "Provided owner is not allowed",
  IncorrectProgramId: "incorrect program id for instruction",
  InsufficientFunds: "insufficient funds for instruction",
  InvalidAccountData: "invalid account data for instruction",
  InvalidAccountOwner: "Invalid account owner",
  InvalidArgument: "invalid program argument",
  InvalidInstructionData: "invalid instruction data",
  InvalidSeeds: "Provided seeds do not result in a valid address",
  MissingAccount: "An account required by the instruction is missing",
  MissingRequiredSignature: "missing required signature for instruction",
  NotEnoughAccountKeys: "insufficient account keys for instruction",
  PrivilegeEscalation: "Cross-program invocation with unauthorized signer or writable account",
  UninitializedAccount: "instruction requires an initialized account",
};

/** A node's words for an error; its name where there are none. */
export function textOf(error: TransactionError): string {
  if (typeof error === "string") return TRANSACTION_TEXTS[error] ?? error;
  if ("InstructionError" in error) {
    const [index, reason] = error.InstructionError;
    const text =
      typeof reason === "string"
        ? (INSTRUCTION_TEXTS[reason] ?? reason)
        : `custom program error: 0x${reason.Custom.toString(16)}`;
    return `Error processing Instruction ${index}: ${text}`;
  }
  if ("InsufficientFundsForRent" in error) {
    return `Transaction results in an account (${error.InsufficientFundsForRent.account_index}) with insufficient funds for rent`;
  }
  if ("DuplicateInstruction" in error) {
    return `Transaction contains a duplicate instruction (${error.DuplicateInstruction}) that is not allowed`;
  }
  return JSON.stringify(error);
}
