/**
 * T of the daily allotment (economics.md §7): what the treasury holds beyond everything that it owes. What is not known for
 * certain counts against it, so that an allotment is never paid from money that is somebody's.
 */

import { type MicroUsdc, microUsdc } from "../units.ts";

/** What the treasury has, in micro-USDC, and what it owes, in nanoUSD. All are sums over the whole network. */
export interface TreasuryFigures {
  /** USDC in the treasury's token account, finalized. */
  readonly onChain: bigint;
  /** The same as the transactions say that were looked at: what has arrived since may be somebody's. */
  readonly accounted: bigint;
  /** Backed lots and holds, allotments that were taken up included, less what receipts have charged. */
  readonly lots: bigint;
  /** Lots whose entries are still on their way to the journal. */
  readonly unjournaled: bigint;
  /** Deposits that nobody was credited with yet, or that operators decide about. */
  readonly suspense: bigint;
  /** Backed shares of providers and others that were not paid out, carry included. */
  readonly payables: bigint;
  /** What today's allotments may come to, less those that were taken up. */
  readonly promised: bigint;
}

const NANO_USD_PER_MICRO_USDC = 1_000n;

/** What is free, in whole micro-USDC, rounded down and never below 0. */
export function freeTreasury(figures: TreasuryFigures): MicroUsdc {
  const { onChain, accounted, lots, unjournaled, suspense, payables, promised } = figures;
  const held = (onChain < accounted ? onChain : accounted) * NANO_USD_PER_MICRO_USDC;
  const left = [unjournaled, suspense, promised].reduce(
    (rest, owed) => rest - notBelowZero(owed),
    held - lots - payables,
  );
  return microUsdc(Number(notBelowZero(left) / NANO_USD_PER_MICRO_USDC));
}

const notBelowZero = (amount: bigint): bigint => (amount > 0n ? amount : 0n);
