/**
 * Keeps a copy of an account's ledger and checks all of it at every run: what the file has, that the network still says
 * the same, what is new, the network's signature under the newest receipt, and the balance.
 */

import { GENESIS_HEAD } from "../../core/account/state.ts";
import { formatCredits, type Millicredits, parseCredits } from "../../core/units.ts";
import { balance } from "../../protocol/network/account.ts";
import { callJson } from "../network/api.ts";
import type { Settings } from "../network/settings.ts";
import { MirrorFile } from "./mirror-file.ts";
import { Broken } from "./mirror-line.ts";
import { MirroredChain } from "./mirrored-chain.ts";
import type { Finding, MirrorOptions, MirrorReport } from "./report.ts";

/**
 * Brings a mirror up to date and checks it. The chains of a very large account's slices have files beside it. A fault of the
 * ledger is in the report; throws a Failure for all else.
 */
export async function mirrorLedger(settings: Settings, path: string, options: MirrorOptions): Promise<MirrorReport> {
  const chains: MirroredChain[] = [];
  const follow = async (slice: number): Promise<MirroredChain> => {
    const file = await MirrorFile.open(slice === 0 ? path : `${path}.slice-${slice}`);
    const chain = new MirroredChain(settings, file, options, slice);
    chains.push(chain);
    await chain.follow();
    return chain;
  };
  try {
    return await check(settings, chains, follow);
  } finally {
    await Promise.all(chains.map((chain) => chain.close()));
  }
}

async function check(
  settings: Settings,
  chains: readonly MirroredChain[],
  follow: (slice: number) => Promise<MirroredChain>,
): Promise<MirrorReport> {
  const findings: Finding[] = [];
  let badSeq: number | null = null;
  let signed: MirrorReport["signed"] = null;
  try {
    const own = await follow(0);
    for (const slice of own.slices) await follow(slice);
    const sum = await checkBalance(settings, chains);
    findings.push(...chains.flatMap((chain) => chain.findings()), sum);
    if (sum.ok === false) badSeq = own.seq;
    for (const chain of chains) {
      const word = await chain.checkSignature();
      if (word !== null) findings.push(word.finding);
      if (chain === own) signed = word?.signed ?? null;
    }
  } catch (error) {
    if (!(error instanceof Broken)) throw error;
    const { check, seq, slice, message } = error;
    findings.push({ check, ok: false, detail: `entry ${seq}${slice === 0 ? "" : ` of slice ${slice}`}: ${message}` });
    badSeq ??= seq;
  }
  return {
    entries: chains.reduce((all, { seq }) => all + seq, 0),
    added: chains.reduce((all, { added }) => all + added, 0),
    mended: chains.some(({ mended }) => mended),
    head: chains[0]?.head ?? GENESIS_HEAD,
    findings,
    badSeq,
    signed,
  };
}

/** How often the balance is held against chains that go on meanwhile. */
const TRIES = 3;

/**
 * Holds the entries' sum against the balance: what is held is still the account's. The account may go on meanwhile, so
 * the sum may be that of any entry between the reading before the balance and the one after it. Where slices have a part
 * of it, only a moment in which no chain goes on can be compared.
 */
async function checkBalance(settings: Settings, chains: readonly MirroredChain[]): Promise<Finding> {
  const name = "balance";
  const sum = (): number => chains.reduce((all, chain) => all + chain.sum, 0);
  const seqs = (): string => chains.map(({ seq }) => seq).join();
  for (let attempt = 1; ; attempt++) {
    const sums = [sum()];
    const before = seqs();
    const found = await callJson(settings, "/api/v1/balance", balance);
    for (const chain of chains) await chain.extend(() => void sums.push(sum()));
    if (found.peg.millicredits !== found.peg.nano_usd) {
      return { check: name, ok: null, detail: "not checked: amounts are summed at a peg of 1 only" };
    }
    const theirs = (parseCredits(found.available) ?? Number.NaN) + (parseCredits(found.held) ?? Number.NaN);
    const ok = sums.includes(theirs);
    const ours = formatCredits((ok ? theirs : sum()) as Millicredits);
    if (ok) return { check: name, ok, detail: `the entries come to ${ours} credits, which is what the account has` };
    const isBusy = chains.length > 1 && before !== seqs();
    if (isBusy && attempt < TRIES) continue;
    if (isBusy)
      return { check: name, ok: null, detail: "not checked: the account's slices are at work, try again later" };
    const detail = `entry ${chains[0]?.seq}: all up to it come to ${ours} credits, but the account has ${found.available} and ${found.held} held`;
    return { check: name, ok, detail };
  }
}
