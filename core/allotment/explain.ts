/** A day's row in words: one sentence for each input, and one for each bound that applied. */

import { type BasisPoints, formatUsd, type NanoUsd, sum } from "../units.ts";
import type { Bound, DailyRow } from "./daily-row.ts";
import { epochDay } from "./epochs.ts";
import { RATE_SCALE } from "./rate.ts";

export interface Sentence {
  /** The input or the bound that it is about. */
  readonly of: string;
  readonly text: string;
}

/** Explains a row in the order in which its numbers follow from each other. */
export function explain(row: DailyRow): Sentence[] {
  const inputs: Sentence[] = [
    { of: "revenues", text: revenueText(row) },
    { of: "genesis", text: `The first row of all was that of ${epochDay(row.genesis)}.` },
    { of: "revenue_share", text: `A day's budget is ${percent(row.revenueShare)} of the average revenue.` },
    { of: "treasury", text: treasuryText(row) },
    { of: "issued", text: issuedText(row) },
    { of: "stake", text: stakeText(row) },
    { of: "previous", text: previousText(row) },
    {
      of: "peg",
      text: `Credits are shown at ${row.peg.millicredits} millicredits for ${row.peg.nanoUsd} nanoUSD.`,
    },
  ];
  return [...inputs, ...row.bounds.map((of) => ({ of, text: BOUNDS[of](row) }))];
}

const BOUNDS: Readonly<Record<Bound, (row: DailyRow) => string>> = {
  genesis_budget: (row) =>
    `In the first seven epochs the budget is at least ${usd(row.genesisBudget)}, so revenue counts as ${usd(row.base)}.`,
  revenue: (row) => `The share of revenue is the smaller one, so the budget is ${usd(row.budget)}.`,
  treasury: (row) => `The share of the free treasury is the smaller one, so the budget is ${usd(row.budget)}.`,
  activity_least: (row) => `So little was spent that the budget counts at its least, ${percent(row.activity)}.`,
  activity_most: (row) => `So much was spent that the budget counts at its most, ${percent(row.activity)}.`,
  fall: () => "The rate would fall by more than a quarter, so it falls by a quarter.",
  rise: () => "The rate would rise by more than a quarter, so it rises by a quarter.",
  recovery: () => "The rate was so low that a quarter more would be slow, so it rises to a tenth of its aim.",
  obligation: (row) =>
    `All allotments together may come to ${usd(row.budgetMost)}, which bounds the rate whatever it was before.`,
  no_stake: () => "Nobody has stake that counts, so there is no allotment.",
};

function revenueText({ revenues, previousAverage, average }: DailyRow): string {
  const [first, last] = [revenues[0], revenues.at(-1)];
  if (first === undefined || last === undefined)
    return `No day has closed since the row before, so the average stays at ${usd(average)}.`;
  const days = first === last ? `On ${epochDay(first.day)}` : `From ${epochDay(first.day)} to ${epochDay(last.day)}`;
  const all = sum(revenues.map(({ nanoUsd }) => nanoUsd));
  return `${days} the network's shares of packages and top-ups came to ${usd(all)}, which moves their 7-day average from ${usd(previousAverage)} to ${usd(average)}.`;
}

function treasuryText({ treasury, treasuryKnown, treasuryShare }: DailyRow): string {
  if (!treasuryKnown) return "Nothing says how much of the treasury is free, so it counts as 0 and there is no budget.";
  return `${microUsdc(treasury)} USDC of the treasury are free, of which a day may cost ${percent(treasuryShare)}.`;
}

function issuedText({ epoch, issued, spent, activity }: DailyRow): string {
  const day = epochDay(epoch - 2);
  if (issued <= 0) return `Nothing was issued for ${day}, so the budget counts in full.`;
  return `For ${day} ${usd(issued)} were issued and ${usd(spent)} spent, so the budget counts by ${percent(activity)}.`;
}

function stakeText({ stake, stakeKnown, accounts, minimumStake }: DailyRow): string {
  if (!stakeKnown) return "No snapshot of stakes came in time, so none counts.";
  return `${accounts} ${accounts === 1 ? "account has" : "accounts have"} a stake of ${minimumStake} units or more, together ${stake}.`;
}

function previousText({ previousEpoch, previousRate }: DailyRow): string {
  if (previousEpoch === null) return "There is no row before this one, so the rate starts at its aim.";
  return `The last row, of ${epochDay(previousEpoch)}, had a rate of ${rateText(previousRate)} nanoUSD for each unit.`;
}

/** A scaled rate as a decimal number with eighteen places. */
export function rateText(rate: bigint): string {
  return `${rate / RATE_SCALE}.${String(rate % RATE_SCALE).padStart(18, "0")}`;
}

function usd(amount: NanoUsd): string {
  return `$${formatUsd(amount)}`;
}

function microUsdc(amount: number): string {
  const digits = String(amount).padStart(7, "0");
  return `${digits.slice(0, -6)}.${digits.slice(-6)}`;
}

function percent(share: BasisPoints): string {
  return `${share / 100} %`;
}
