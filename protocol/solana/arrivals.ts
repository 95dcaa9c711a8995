/** What a transaction brought to the treasury: transfer by transfer, and checked against what its account holds after it. */

import { type MicroUsdc, microUsdc } from "../../core/units.ts";
import type { ChainInstruction, ChainTransaction, TokenBalance } from "./transaction.ts";

/** Where USDC is paid to: a wallet, and its token account of the real mint. */
export interface Treasury {
  readonly owner: string;
  readonly tokenAccount: string;
  readonly mint: string;
}

export interface Arrival {
  /** Its place among all instructions of the transaction; {@link WHOLE} where it could not be told. */
  readonly instruction: number;
  readonly mint: string;
  /** In the token's own unit. */
  readonly units: bigint;
  /** The wallet that it came from, where that is known. */
  readonly payer: string | null;
  /** Accounts that its instruction names beside its own: Solana Pay puts references there. */
  readonly named: readonly string[];
}

/** The place of an arrival that only the balances tell. */
export const WHOLE = -1;

export interface Reading {
  /** Of the real mint, in the order of their instructions. They sum to `received`. */
  readonly arrivals: readonly Arrival[];
  /** Of other mints, at accounts of the same wallet. */
  readonly others: readonly Arrival[];
  readonly received: MicroUsdc;
  readonly sent: MicroUsdc;
}

interface Movement {
  readonly instruction: number;
  readonly from: string | null;
  readonly to: string | null;
  readonly units: bigint;
  readonly named: readonly string[];
}

/**
 * Reads what reached the treasury and what left it. The balances decide: where the instructions do not come to the same,
 * there is one arrival of what the account has more.
 */
export function readArrivals(transaction: ChainTransaction, treasury: Treasury): Reading {
  if (transaction.failed) return { arrivals: [], others: [], received: microUsdc(0), sent: microUsdc(0) };
  const accounts = new Map(transaction.balances.map((balance) => [balance.account, balance]));
  const movements = transaction.instructions.flatMap(movementOf);
  const others = movements.filter(({ to }) => isOther(accounts.get(to ?? ""), treasury));
  const { tokenAccount: own, mint } = treasury;
  const balance = accounts.get(own);
  const gained = (balance?.after ?? 0n) - (balance?.before ?? 0n);
  const into = movements.filter(({ from, to }) => to === own && from !== own);
  const received = total(into);
  const sent = total(movements.filter(({ from, to }) => from === own && to !== own));
  const shown = (movement: Movement) => arrivalOf(movement, accounts);
  if (received - sent === gained) {
    return {
      arrivals: into.map(shown),
      others: others.map(shown),
      received: micro(received),
      sent: micro(sent),
    };
  }
  const whole: Arrival = { instruction: WHOLE, mint, units: gained, payer: null, named: [] };
  return {
    arrivals: gained > 0n ? [whole] : [],
    others: others.map(shown),
    received: micro(gained > 0n ? gained : 0n),
    sent: micro(gained < 0n ? -gained : 0n),
  };
}

function isOther(balance: TokenBalance | undefined, { owner, tokenAccount }: Treasury): boolean {
  return balance !== undefined && balance.owner === owner && balance.account !== tokenAccount;
}

function arrivalOf({ instruction, from, to, units, named }: Movement, accounts: Map<string, TokenBalance>): Arrival {
  const mint = accounts.get(to ?? "")?.mint ?? "";
  return { instruction, mint, units, payer: accounts.get(from ?? "")?.owner ?? null, named };
}

const TOKEN_PROGRAMS: ReadonlySet<string> = new Set(["spl-token", "spl-token-2022"]);

/** What an instruction of a token program moves, above zero; nothing for any other. */
function movementOf({ program, type, info }: ChainInstruction, instruction: number): Movement[] {
  if (program === null || !TOKEN_PROGRAMS.has(program) || type === null) return [];
  const [from, to] = endsOf(type, info);
  const units = unitsOf(info);
  if ((from === null && to === null) || units === null || units <= 0n) return [];
  return [{ instruction, from, to, units, named: texts(info["signers"]) }];
}

/** Token accounts that have less and more by it. */
function endsOf(type: string, info: ChainInstruction["info"]): [string | null, string | null] {
  if (/^transfer(Checked)?(WithFee)?$/.test(type)) return [text(info["source"]), text(info["destination"])];
  if (/^mintTo(Checked)?$/.test(type)) return [null, text(info["account"])];
  if (/^burn(Checked)?$/.test(type)) return [text(info["account"]), null];
  return [null, null];
}

/** The amount stands alone, or with its decimals. */
function unitsOf(info: ChainInstruction["info"]): bigint | null {
  const amount = info["amount"] ?? (info["tokenAmount"] as { amount?: unknown } | undefined)?.amount;
  return typeof amount === "string" && /^\d+$/.test(amount) ? BigInt(amount) : null;
}

function text(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === "string") : [];
}

function total(movements: readonly Movement[]): bigint {
  return movements.reduce((sum, { units }) => sum + units, 0n);
}

function micro(units: bigint): MicroUsdc {
  return microUsdc(Number(units));
}
