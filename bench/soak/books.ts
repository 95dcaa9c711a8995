/** An account's books, read as its owner reads them, and held against themselves. */

import { GENESIS_HEAD } from "../../core/account/state.ts";
import { hashText } from "../../core/receipt/canonical.ts";
import { parseCredits } from "../../core/units.ts";
import type { Consumer, Network } from "../servers/network.ts";
import { balanceOf } from "./sample.ts";

export interface PostedReceipt {
  readonly outcome: string;
  /** What it charges, in both units as receipts carry them. */
  readonly millicredits: number;
  readonly nanoUsd: number;
  /** SHA-256 of its body, hex. */
  readonly hash: string;
}

export interface Books {
  /** By job and n. */
  readonly receipts: ReadonlyMap<string, PostedReceipt>;
  readonly entries: number;
  readonly openJobs: number;
  /** What does not add up, in words. */
  readonly faults: readonly string[];
}

/** What the entries of every kind have in common, and what each kind adds. */
interface EntryBody {
  readonly v: string;
  readonly seq: number;
  readonly previous: string;
  readonly type?: string;
  readonly backing?: Backing;
  readonly nano_usd?: number;
  readonly millicredits?: number;
  readonly job?: string;
  readonly n?: number;
  readonly outcome?: string;
  readonly charge?: {
    readonly nano_usd: number;
    readonly millicredits: number;
    readonly parts: readonly { readonly backing: Backing; readonly nano_usd: number; readonly millicredits: number }[];
  };
}
type Backing = "usdc" | "none";

const RELEASES = new Set(["void", "hold_expired"]);

/** Reads an account's whole chain and its balance. */
export async function readBooks(network: Network, consumer: Consumer): Promise<Books> {
  const faults: string[] = [];
  const receipts = new Map<string, PostedReceipt>();
  const sums: Record<Backing, number> = { usdc: 0, none: 0 };
  let [seq, head] = [0, GENESIS_HEAD];
  for (const text of await bodiesOf(network, consumer)) {
    const body = JSON.parse(text) as EntryBody;
    seq += 1;
    if (body.seq !== seq || body.previous !== head) faults.push(`the chain breaks at entry ${seq}`);
    head = hashText(text);
    if (body.charge !== undefined) {
      const key = `${body.job}/${body.n}`;
      if (receipts.has(key)) faults.push(`${key} was posted twice`);
      const { outcome = "", charge } = body;
      const { millicredits, nano_usd: nanoUsd } = charge;
      receipts.set(key, { outcome, millicredits, nanoUsd, hash: head });
      for (const part of charge.parts) sums[part.backing] -= amountOf(part.backing, part);
    } else if (body.backing !== undefined) {
      sums[body.backing] += (body.type === "expiry" ? -1 : 1) * amountOf(body.backing, body);
    } else if (!RELEASES.has(body.type ?? "")) faults.push(`entry ${seq} is of an unknown kind`);
  }
  const balance = await balanceOf(network, consumer);
  for (const backing of ["usdc", "none"] as const) {
    const lots = balance.lots.filter((lot) => lot.backing === backing);
    const there = lots.reduce((sum, { available, held }) => sum + credits(available) + credits(held), 0);
    if (there !== sums[backing]) {
      faults.push(`${backing}: credited − charged − expired = ${sums[backing]}, but ${there} are there`);
    }
  }
  if (credits(balance.held) !== 0) faults.push(`${balance.held} credits are held`);
  return { receipts, entries: seq, openJobs: balance.open_jobs, faults };
}

/** A lot with backing counts in nanoUSD, one without in millicredits; at the peg of 1 both are shown alike. */
function amountOf(backing: Backing, amounts: { readonly nano_usd?: number; readonly millicredits?: number }): number {
  return (backing === "usdc" ? amounts.nano_usd : amounts.millicredits) ?? 0;
}

function credits(text: string): number {
  return parseCredits(text) ?? Number.NaN;
}

async function bodiesOf({ origin }: Network, { apiKey }: Consumer): Promise<string[]> {
  const headers = { authorization: `Bearer ${apiKey}` };
  const response = await fetch(`${origin}/api/v1/ledger?format=ndjson`, { headers });
  const lines = (await response.text()).split("\n").filter((line) => line !== "");
  return lines.map((line) => (JSON.parse(line) as { body: string }).body);
}
