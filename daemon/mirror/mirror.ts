/**
 * Keeps a copy of an account's ledger and checks all of it at every run: what the file has, that the network still says
 * the same, what is new, the network's signature under the newest receipt, and the balance.
 */

import { LIMITS } from "../../core/limits.ts";
import { formatCredits, type Millicredits, parseCredits } from "../../core/units.ts";
import { LedgerChain, type LedgerEntry } from "../../protocol/chain.ts";
import { balance } from "../../protocol/network/account.ts";
import { readLedger } from "../commands/ledger.ts";
import { EXIT, Failure } from "../failure.ts";
import { callJson } from "../network/api.ts";
import type { Settings } from "../network/settings.ts";
import { MirrorFile } from "./mirror-file.ts";
import { Broken, entryOf, lineOf } from "./mirror-line.ts";
import { differenceOf, OTHER, signatureUnder } from "./network-word.ts";

export interface MirrorOptions {
  /** Checks the claims' signatures of all entries and holds each line against the network's, not only what is new. */
  readonly recheck: boolean;
  readonly networkKey: string | undefined;
  /** Told how many entries there are, after each page. */
  readonly onPage?: (entries: number) => void;
}

/** One thing that was checked; `ok` is null where it could not be. */
export interface Finding {
  readonly check: string;
  readonly ok: boolean | null;
  readonly detail: string;
}

export interface MirrorReport {
  readonly entries: number;
  readonly added: number;
  readonly mended: boolean;
  readonly head: string;
  readonly findings: readonly Finding[];
  /** The first entry that does not hold, where one does not. */
  readonly badSeq: number | null;
  /** The network's word for the newest receipt, and by its chain for every entry before it. */
  readonly signed: { readonly seq: number; readonly key: string; readonly signature: string } | null;
}

/** Brings a mirror up to date and checks it. A fault of the ledger is in the report; throws a Failure for all else. */
export async function mirrorLedger(settings: Settings, path: string, options: MirrorOptions): Promise<MirrorReport> {
  const file = await MirrorFile.open(path);
  try {
    return await new Mirror(settings, file, options).run();
  } finally {
    await file.close();
  }
}

class Mirror {
  readonly #settings: Settings;
  readonly #file: MirrorFile;
  readonly #options: MirrorOptions;
  readonly #chain = new LedgerChain();
  /** The hash of each entry's body, and with `recheck` each line. */
  readonly #hashes: string[] = [];
  readonly #lines: string[] = [];
  readonly #findings: Finding[] = [];
  #lastLine = "";
  #added = 0;
  #claims = 0;
  #mended = false;
  #signed: MirrorReport["signed"] = null;

  constructor(settings: Settings, file: MirrorFile, options: MirrorOptions) {
    this.#settings = settings;
    this.#file = file;
    this.#options = options;
  }

  async run(): Promise<MirrorReport> {
    let badSeq: number | null = null;
    try {
      await this.#readFile();
      await this.#compare();
      await this.#extend();
      const sum = await this.#checkBalance();
      this.#sayWhatHolds();
      this.#findings.push(sum);
      if (sum.ok === false) badSeq = this.#chain.seq;
      this.#signed = await this.#checkSignature();
    } catch (error) {
      if (!(error instanceof Broken)) throw error;
      const { check, seq, message } = error;
      this.#findings.push({ check, ok: false, detail: `entry ${seq}: ${message}` });
      badSeq ??= seq;
    }
    return {
      entries: this.#chain.seq,
      added: this.#added,
      mended: this.#mended,
      head: this.#chain.head,
      findings: this.#findings,
      badSeq,
      signed: this.#signed,
    };
  }

  /** Reads and checks what the file has. */
  async #readFile(): Promise<void> {
    const { recheck } = this.#options;
    for await (const line of this.#file.lines()) {
      const entry = entryOf(line);
      const seq = this.#chain.seq + 1;
      if (entry === null) {
        throw new Broken("form", seq, `line ${seq} of ${this.#file.path} is not as mirrors write entries`);
      }
      try {
        this.#add(entry, recheck, `in ${this.#file.path}`);
      } catch (error) {
        throw error instanceof Broken && error.check === "chain" ? await this.#guiltyOf(error) : error;
      }
      this.#lastLine = line;
      if (recheck) this.#lines.push(line);
    }
  }

  /** Where an entry and the hash that the next one names differ, the network tells which of the two was changed. */
  async #guiltyOf(broken: Broken): Promise<Broken> {
    const before = this.#chain.seq;
    const [theirs] = await readLedger(this.#settings, before, 1).catch(() => []);
    if (theirs === undefined || lineOf(theirs) === this.#lastLine) return broken;
    return new Broken(
      "chain",
      before,
      `its hash is not the one that entry ${broken.seq} names (in ${this.#file.path})`,
    );
  }

  #add(entry: LedgerEntry, claim: boolean, where: string): void {
    const bad = this.#chain.add(entry, { claim });
    if (bad !== null) throw new Broken(bad.check, bad.seq, `${bad.detail} (${where})`);
    if (claim && entry.type === "spent") this.#claims += 1;
    this.#hashes.push(this.#chain.head);
  }

  /** Holds what the file has against the network, which may not have changed any of it. Nothing is written until then. */
  async #compare(): Promise<void> {
    const { seq } = this.#chain;
    if (seq === 0) return;
    const [theirs] = await readLedger(this.#settings, seq, 1);
    if (theirs === undefined || lineOf(theirs) !== this.#lastLine) {
      throw await differenceOf(this.#settings, this.#hashes, this.#file.path);
    }
    if (!this.#options.recheck) return;
    for (let from = 1; from <= seq; from += LIMITS.maxPageRows) {
      for (const entry of await readLedger(this.#settings, from, Math.min(LIMITS.maxPageRows, seq - from + 1))) {
        if (lineOf(entry) !== this.#lines[entry.seq - 1]) throw new Broken("network", entry.seq, OTHER);
      }
    }
  }

  /** Adds what the network has beyond the file, page by page, each page on the disk before the next one is asked for. */
  async #extend(afterEach: () => void = () => {}): Promise<void> {
    for (;;) {
      const page = await readLedger(this.#settings, this.#chain.seq + 1, LIMITS.maxPageRows);
      this.#mendBy(page[0]);
      const good: string[] = [];
      try {
        for (const entry of page) {
          this.#add(entry, true, `as ${this.#settings.url} gives it`);
          good.push(lineOf(entry));
          afterEach();
        }
      } finally {
        if (good.length > 0) await this.#file.append(good);
        this.#added += good.length;
      }
      this.#options.onPage?.(this.#chain.seq);
      if (page.length < LIMITS.maxPageRows) return;
    }
  }

  /** A line that was cut has to be the beginning of the entry that comes next: anything else was not written by a mirror. */
  #mendBy(next: LedgerEntry | undefined): void {
    if (!this.#file.isCut) return;
    if (next === undefined || !this.#file.isMendedBy(lineOf(next))) {
      const why = `ends with a line that is no beginning of entry ${this.#chain.seq + 1}`;
      throw new Failure(EXIT.usage, `${this.#file.path} ${why}. It was left as it is; is it a mirror?`);
    }
    this.#mended = true;
  }

  #sayWhatHolds(): void {
    const { seq, head, receipts } = this.#chain;
    const say = (check: string, detail: string): void => void this.#findings.push({ check, ok: true, detail });
    if (seq === 0) return say("entries", "the account has no entries yet");
    say("entries", `${seq} without a gap, each of a known form, none older than the one before it`);
    say("chain", `each names the hash of the one before it; the last hash is ${head}`);
    say(
      "network",
      this.#options.recheck ? "every line is what the network says today" : "the network's chain is the same",
    );
    say("receipts", `price, parts and split of ${receipts} computed again, no job charged twice`);
    const before = receipts - this.#claims;
    say(
      "claims",
      `${this.#claims} signatures of daemons${before > 0 ? `; ${before} were checked when they came` : ""}`,
    );
  }

  /**
   * Holds the entries' sum against the balance: what is held is still the account's. The account may go on meanwhile, so
   * the sum may be that of any entry between the reading before the balance and the one after it.
   */
  async #checkBalance(): Promise<Finding> {
    const sums = [this.#sum()];
    const found = await callJson(this.#settings, "/api/v1/balance", balance);
    await this.#extend(() => void sums.push(this.#sum()));
    if (found.peg.millicredits !== found.peg.nano_usd) {
      return { check: "balance", ok: null, detail: "not checked: amounts are summed at a peg of 1 only" };
    }
    const theirs = (parseCredits(found.available) ?? Number.NaN) + (parseCredits(found.held) ?? Number.NaN);
    const ok = sums.includes(theirs);
    const ours = formatCredits((ok ? theirs : this.#sum()) as Millicredits);
    const detail = ok
      ? `the entries come to ${ours} credits, which is what the account has`
      : `entry ${this.#chain.seq}: all up to it come to ${ours} credits, but the account has ${found.available} and ${found.held} held`;
    return { check: "balance", ok, detail };
  }

  async #checkSignature(): Promise<MirrorReport["signed"]> {
    const last = this.#chain.lastReceipt;
    if (last === null) return null;
    const signed = await signatureUnder(this.#settings, last, this.#options.networkKey);
    const detail = `by ${signed.key} under entry ${last.seq}, which vouches for every entry up to it`;
    this.#findings.push({ check: "network_signature", ok: true, detail });
    return { seq: last.seq, key: signed.key, signature: signed.signature };
  }

  #sum(): number {
    const { nanoUsd, millicredits } = this.#chain.sum;
    return nanoUsd + millicredits;
  }
}
