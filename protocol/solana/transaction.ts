/** A finalized transaction, as far as payments are read from it, in no node's or library's own form. */

export interface ChainInstruction {
  /** Its program's name in parsed form, such as `spl-token`; null where the node has not parsed it. */
  readonly program: string | null;
  readonly type: string | null;
  readonly info: Readonly<Record<string, unknown>>;
}

/** What a token account held before and after; amounts in the token's own unit. */
export interface TokenBalance {
  readonly account: string;
  readonly mint: string;
  readonly owner: string | null;
  readonly before: bigint;
  readonly after: bigint;
}

export interface ChainTransaction {
  readonly signature: string;
  readonly slot: number;
  /** Milliseconds since 1970, to the second; null where the node does not know it. */
  readonly at: number | null;
  readonly failed: boolean;
  /** Every account that it names, those of lookup tables too. */
  readonly keys: readonly string[];
  /** What its memos say, in their order. */
  readonly memos: readonly string[];
  /** In the order in which they ran: each is followed by those that its program called. */
  readonly instructions: readonly ChainInstruction[];
  readonly balances: readonly TokenBalance[];
}
